// SPDX-License-Identifier: BSL-1.0
#include "owner_search.hpp"

#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/owner_search.hpp>

#include "swapped_system.hpp"

namespace {

using testing::ElementsAre;
using tidewait::observed_socket;
using tidewait::owner_reach;
using tidewait::ownership;
using tidewait::detail::owner_search;
using tidewait::detail::process_visibility;

TEST_F(OwnerSearch, NamesEveryHolderThisProcessFirst) {
  std::vector<observed_socket> sockets{socket(10), socket(11), socket(12), socket(13), socket(14)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::everyone);
  EXPECT_TRUE(seen.all());
  EXPECT_FALSE(seen.pid_namespace);
  EXPECT_THAT(holders(sockets), ElementsAre("self 100 fd 7", "self 100 fd 8, descendant 200 fd 4",
                                            "descendant 200 fd 3", "descendant 300 fd 3",
                                            testing::AnyOf("other 400 fd 5 fd 6, other 500 fd 5",
                                                           "other 400 fd 6 fd 5, other 500 fd 5",
                                                           "other 500 fd 5, other 400 fd 5 fd 6",
                                                           "other 500 fd 5, other 400 fd 6 fd 5")));
  EXPECT_EQ(sockets[3].owners[0].name, "grand child");
  EXPECT_EQ(sockets[3].owners[0].command, "/usr/bin/grand child --port 80");
  for (const observed_socket& each : sockets) EXPECT_EQ(each.owned, ownership::found);
}

TEST_F(OwnerSearch, StopsAtTheOwnTreeIfAllIsFoundThere) {
  proc.process(600, 1, "sharer", {{5, "socket:[10]"}});
  std::vector<observed_socket> sockets{socket(10), socket(12)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("self 100 fd 7", "descendant 200 fd 3"));

  std::vector<observed_socket> more{socket(10), socket(14)};
  owner_search{more}.run(owner_reach::until_found);
  EXPECT_EQ(holders(more)[0], "self 100 fd 7, other 600 fd 5");
}

TEST_F(OwnerSearch, NamesEveryHolderOfWhatStrangersShare) {
  std::vector<observed_socket> sockets{socket(14)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_EQ(sockets[0].owners.size(), 2U);
}

TEST_F(OwnerSearch, LeavesStrangersAloneIfItIsToldTo) {
  std::vector<observed_socket> sockets{socket(12), socket(14), socket(0)};
  owner_search{sockets}.run(owner_reach::own_tree);
  EXPECT_THAT(holders(sockets), ElementsAre("descendant 200 fd 3", "", ""));
  EXPECT_EQ(sockets[1].owned, ownership::not_searched);
  EXPECT_EQ(sockets[2].owned, ownership::kernel);
}

TEST_F(OwnerSearch, FindsASocketThatStandsLateAmongMany) {
  for (int fd = 20; fd < 400; ++fd) proc.link("500/fd/" + std::to_string(fd), "/dev/null");
  proc.link("500/fd/1000", "socket:[16]");
  std::vector<observed_socket> sockets{socket(16)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("other 500 fd 1000"));
}

TEST_F(OwnerSearch, FindsWhatASingleThreadHasInATableOfItsOwn) {
  proc.link("100/task/101/fd/5", "socket:[20]");
  proc.link("400/task/401/fd/6", "socket:[21]");
  for (const int thread : {1, 2, 3})
    proc.link("400/task/40" + std::to_string(thread) + "/fd/7", "pipe:[1]");
  std::vector<observed_socket> sockets{socket(20), socket(21)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("self 100 fd 5", "other 400 fd 6"));
  EXPECT_EQ(sockets[0].owners[0].thread, 101);
  EXPECT_EQ(sockets[1].owners[0].thread, 401);
}

TEST_F(OwnerSearch, TellsASocketOfNobodyFromOneThatTheKernelKeeps) {
  std::vector<observed_socket> sockets{socket(99), socket(0)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_EQ(sockets[0].owned, ownership::ownerless);
  EXPECT_EQ(sockets[1].owned, ownership::kernel);
}

TEST_F(OwnerSearch, KnowsAnOrphanOfThisRun) {
  const std::string& mark = tidewait::detail::ensure_run_mark();
  proc.process(600, 1, "orphan", {{3, "socket:[20]"}});
  proc.file("600/environ", std::string{"TIDEWAIT_RUN=outer:"} + mark + '\0');
  started_by("600", ::getuid());
  proc.process(700, 1, "forked", {{3, "socket:[21]"}});
  proc.link("700/fd/4", "/memfd:tidewait-run-" + mark + " (deleted)");
  started_by("700", ::getuid());
  proc.process(800, 1, "of another run", {{3, "socket:[22]"}});
  proc.file("800/environ", std::string{"TIDEWAIT_RUN=0123456789abcdef"} + '\0' +
                               "TIDEWAIT_TEST=other.Test\n" + '\0');
  std::vector<observed_socket> sockets{socket(20), socket(21), socket(22)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets),
              ElementsAre("orphan 600 fd 3", "orphan 700 fd 3", "other 800 fd 3"));
  EXPECT_EQ(sockets[2].owners[0].test, "other.Test?") << "which started it";
}

TEST_F(OwnerSearch, ClaimsByItsMarkOnlyWhatItsOwnUserHasStarted) {
  const std::string& mark = tidewait::detail::ensure_run_mark();
  const std::string environment = std::string{"TIDEWAIT_RUN="} + mark + '\0';
  const std::string memfd = "/memfd:tidewait-run-" + mark + " (deleted)";
  const unsigned own = ::getuid();
  const struct {
    int pid;
    unsigned real, effective;
    const char* relation;
  } table[] = {
      {600, own + 1, own + 1, "other"},
      {700, own + 1, own, "other"},   // runs our set-user-ID program
      {800, own, own + 1, "orphan"},  // a set-user-ID program that we run
  };
  for (const auto& row : table) {
    const std::string pid = std::to_string(row.pid);
    for (const bool by_file : {false, true}) {
      proc.process(row.pid, 1, "wears the mark", {});
      if (by_file) {
        proc.link(pid + "/fd/4", memfd);
      } else {
        proc.link(pid + "/fd/3", "socket:[20]");
        proc.file(pid + "/environ", environment);
      }
      started_by(pid, row.real, row.effective);
      std::vector<observed_socket> sockets{socket(20)};
      owner_search{sockets}.run(owner_reach::until_found);
      EXPECT_THAT(holders(sockets), ElementsAre(row.relation + (' ' + pid) + " fd 3")) << by_file;
    }
    std::filesystem::remove_all(std::string{tidewait::detail::sys.proc} + '/' + pid);
  }
  proc.process(900, 1, "shows no user", {{3, "socket:[20]"}});
  proc.file("900/environ", environment);
  ::unlink((std::string{tidewait::detail::sys.proc} + "/900/status").c_str());
  std::vector<observed_socket> sockets{socket(20)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("other 900 fd 3"));
}

TEST_F(OwnerSearch, ClipsALargeCommandLine) {
  proc.process(600, 1, "large", {{3, "socket:[20]"}});
  proc.file("600/cmdline", std::string(std::size_t{1} << 20U, 'x'));
  std::vector<observed_socket> sockets{socket(20)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_EQ(sockets[0].owners.at(0).command, std::string(4093, 'x') + "...");
}

TEST_F(OwnerSearch, KnowsADescendantThatTheWalkHasMissed) {
  proc.process(600, 300, "late", {{3, "socket:[20]"}});  // not among the children of 300
  std::vector<observed_socket> sockets{socket(20)};
  owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("descendant 600 fd 3"));
}

TEST_F(OwnerSearch, DoesNotMindAProcessThatIsGone) {
  proc.file("200/task/200/children", "300 999 ");  // 999 has ended since
  proc.process(600, 1, "half gone", {{3, "socket:[20]"}});
  for (const char* name : {"comm", "cmdline", "stat", "status", "environ"}) {
    ::unlink((std::string{tidewait::detail::sys.proc} + "/600/" + name).c_str());
  }
  std::vector<observed_socket> sockets{socket(20)};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
  EXPECT_THAT(holders(sockets), ElementsAre("other 600 fd 3"));
  EXPECT_EQ(sockets[0].owners[0].name, "");
}

}  // namespace
