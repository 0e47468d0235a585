// SPDX-License-Identifier: BSL-1.0
#include <unistd.h>

#include <cerrno>
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
using tidewait::detail::environment_has_mark;
using tidewait::detail::has_mark;
using tidewait::detail::owner_search;
using tidewait::detail::parse_command_line;
using tidewait::detail::parse_pid;
using tidewait::detail::parse_socket_link;
using tidewait::detail::process_visibility;

TEST(ProcPid, ReadsTheInodeOfASocket) {
  EXPECT_EQ(parse_socket_link("socket:[4711]"), 4711U);
  EXPECT_EQ(parse_socket_link("socket:[4294967295]"), 4294967295U);
  for (const char* text : {"", "socket:[", "socket:[]", "socket:[4711", "socket:[4711]x",
                           "socket:[-1]", "socket:[4294967296]", "pipe:[4711]", "/dev/null"}) {
    EXPECT_EQ(parse_socket_link(text), std::nullopt) << text;
  }
}

TEST(ProcPid, MakesOneLineOfACommand) {
  using namespace std::string_literals;
  EXPECT_EQ(parse_command_line("server\0--port\0"
                               "80\0"s),
            "server --port 80");
  EXPECT_EQ(parse_command_line("server: worker\0\0\0"s), "server: worker");  // setproctitle
  EXPECT_EQ(parse_command_line("a\0\0b\0"s), "a  b");                        // an empty argument
  EXPECT_EQ(parse_command_line(""), "");                                     // a kernel thread
  EXPECT_EQ(parse_command_line("gr\xfc\xdf\0\x1b[2J\0"s), "gr?? ?[2J");
  EXPECT_EQ(parse_command_line(std::string(4096, 'x')), std::string(4096, 'x'));
  EXPECT_EQ(parse_command_line(std::string(9999, 'x')), std::string(4093, 'x') + "...");
}

TEST(ProcPid, ReadsAPid) {
  EXPECT_EQ(parse_pid("4711"), 4711);
  for (const char* text : {"", "self", "4711x", "-1", "4294967296"}) {
    EXPECT_EQ(parse_pid(text), std::nullopt) << text;
  }
}

TEST(RunMark, IsFoundAmongOthers) {
  using namespace std::string_literals;
  EXPECT_TRUE(has_mark("ab", "ab"));
  EXPECT_TRUE(has_mark("x:ab:y", "ab"));
  EXPECT_FALSE(has_mark("", "ab"));
  EXPECT_FALSE(has_mark("abc", "ab"));
  EXPECT_FALSE(has_mark("xab:a:b", "ab"));

  EXPECT_TRUE(environment_has_mark("A=1\0TIDEWAIT_RUN=x:ab\0B=2\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("A=1\0NOT_TIDEWAIT_RUN=ab\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("TIDEWAIT_RUN\0ab\0"s, "ab"));
  EXPECT_FALSE(environment_has_mark("", "ab"));
}

TEST(RunMark, IsOnThisProcessAndWhatItStarts) {
  const std::string& mark = tidewait::detail::ensure_run_mark();
  EXPECT_EQ(mark.size(), 16U);
  EXPECT_EQ(mark, tidewait::detail::ensure_run_mark());
  ASSERT_NE(::getenv("TIDEWAIT_RUN"), nullptr);
  EXPECT_TRUE(has_mark(::getenv("TIDEWAIT_RUN"), mark));
}

/// A machine: this process 100 with child 200, its child 300; 400 and 500 are strangers.
class OwnerSearch : public testing::Test {
 protected:
  OwnerSearch() {
    proc.link("self", "100");
    proc.process(1, 0, "init", {});
    proc.process(100, 50, "test", {{0, "/dev/null"}, {7, "socket:[10]"}, {8, "socket:[11]"}},
                 "200 ");
    proc.process(200, 100, "child", {{3, "socket:[12]"}, {4, "socket:[11]"}}, "300 ");
    proc.process(300, 200, "grand child", {{3, "socket:[13]"}});
    proc.process(400, 1, "stranger", {{5, "socket:[14]"}, {6, "socket:[14]"}});
    proc.process(500, 1, "worker", {{5, "socket:[14]"}, {9, "pipe:[15]"}});
  }

  static observed_socket socket(std::uint32_t inode, std::uint32_t uid = 1000) {
    observed_socket entry;
    entry.inode = inode;
    entry.uid = uid;
    return entry;
  }

  void started_by(const std::string& pid, unsigned real, unsigned effective) const {
    proc.file(pid + "/status",
              "Uid:\t" + std::to_string(real) + '\t' + std::to_string(effective) + "\t0\t0\n");
  }
  void started_by(const std::string& pid, unsigned uid) const { started_by(pid, uid, uid); }

  /// "self 100 test [7]" for each holder of each socket.
  static std::vector<std::string> holders(const std::vector<observed_socket>& sockets) {
    std::vector<std::string> lines;
    for (const observed_socket& each : sockets) {
      std::string line;
      for (const tidewait::process& owner : each.owners) {
        if (!line.empty()) line += ", ";
        line += std::string{to_string(owner.relation)} + ' ' + std::to_string(owner.pid);
        for (const int fd : owner.fds) line += " fd " + std::to_string(fd);
      }
      lines.push_back(line);
    }
    return lines;
  }

  proc_tree proc;
};

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

TEST_F(OwnerSearch, SaysThatAnEnvironmentIsTooLargeToBeSeenWhole) {
  const std::string mark = "TIDEWAIT_RUN=" + tidewait::detail::ensure_run_mark() + '\0';
  const std::string large = std::string(tidewait::detail::most_of_an_environment, 'x') + '\0';
  proc.process(600, 1, "marked behind", {{3, "socket:[20]"}});
  proc.file("600/environ", large + mark);
  proc.process(700, 1, "marked in front", {{3, "socket:[21]"}});
  proc.file("700/environ", mark + large);
  proc.process(800, 1, "of no interest", {{3, "socket:[22]"}});
  proc.file("800/environ", large);
  for (const char* pid : {"600", "700", "800"}) started_by(pid, ::getuid());
  std::vector<observed_socket> sockets{socket(20), socket(21)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(holders(sockets), ElementsAre("other 600 fd 3", "orphan 700 fd 3"));
  EXPECT_EQ(seen.large_environments, 1U);
  EXPECT_EQ(sockets[0].owned, ownership::found);
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

TEST_F(OwnerSearch, CannotLookWithoutProc) {
  ::unlink((std::string{tidewait::detail::sys.proc} + "/self").c_str());
  std::vector<observed_socket> sockets{socket(10), socket(0)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_EQ(seen.proc, std::errc::no_such_file_or_directory);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::kernel);
}

TEST_F(OwnerSearch, TakesAProcWithoutTheFirstProcessForHidepid) {
  std::filesystem::remove_all(std::string{tidewait::detail::sys.proc} + "/1");
  std::vector<observed_socket> sockets{socket(99, ::geteuid() + 1), socket(99, ::geteuid())};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).hidepid);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::ownerless);
}

/// The directory fd/ of whoever has a file "secret" cannot be read.
int open_unless_secret(int at, const char* path, int flags, ...) {
  if (std::strcmp(path, "fd") == 0 && ::faccessat(at, "secret", F_OK, 0) == 0) {
    errno = EACCES;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(OwnerSearch, NeverCallsASocketOwnerlessThatAHiddenProcessMayHold) {
  proc.file("400/secret", "");  // its effective user is 1001
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(99, 1001), socket(98, 1000), socket(10)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_EQ(sockets[1].owned, ownership::ownerless);
  EXPECT_EQ(sockets[2].owned, ownership::found);
}

/// What the descriptors of process 400 stand for cannot be read, although they are listed.
ssize_t readlink_unless_of_400(int at, const char* path, char* to, std::size_t size) {
  struct stat here {};
  struct stat other {};
  const std::string directory = std::string{tidewait::detail::sys.proc} + "/400/fd";
  if (::fstat(at, &here) == 0 && ::stat(directory.c_str(), &other) == 0 &&
      here.st_ino == other.st_ino) {
    errno = EACCES;
    return -1;
  }
  return ::readlinkat(at, path, to, size);
}

TEST_F(OwnerSearch, TakesDescriptorsThatCannotBeReadForHidden) {
  tidewait::detail::sys.readlinkat = readlink_unless_of_400;
  std::vector<observed_socket> sockets{socket(99, 1001)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
  EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
}

TEST_F(OwnerSearch, TakesDescriptorsThatCannotBeReadForHiddenHoweverManyThereAre) {
  tidewait::detail::sys.readlinkat = readlink_unless_of_400;
  for (int fd = 20; fd < 400; ++fd) proc.link("400/fd/" + std::to_string(fd), "/dev/null");
  for (const owner_reach reach : {owner_reach::until_found, owner_reach::everyone}) {
    std::vector<observed_socket> sockets{socket(99, 1001), socket(98, 0), socket(97, 1000)};
    const process_visibility seen = owner_search{sockets}.run(reach);
    EXPECT_THAT(seen.unreadable_users, ElementsAre(1001U));
    EXPECT_EQ(sockets[0].owned, ownership::hidden);
    EXPECT_EQ(sockets[1].owned, ownership::hidden)
        << "opened by root, which then gave up its rights";
    EXPECT_EQ(sockets[2].owned, ownership::ownerless);
  }
}

/// As `open_unless_secret`, with what is in "secret" for errno.
int open_fails_by_secret(int at, const char* path, int flags, ...) {
  char number[8] = {};
  const int secret = std::strcmp(path, "fd") == 0 ? ::openat(at, "secret", O_RDONLY) : -1;
  if (secret >= 0) {
    const ssize_t length = ::read(secret, number, sizeof number - 1);
    ::close(secret);
    errno = length > 0 ? std::stoi(number) : 0;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(OwnerSearch, TakesNoSocketForOwnerlessWhenItRunsShortOfSomething) {
  tidewait::detail::sys.openat = open_fails_by_secret;
  for (const int shortage : {EMFILE, ENFILE, ENOMEM, EIO}) {
    proc.file("400/secret", std::to_string(shortage));
    std::vector<observed_socket> sockets{socket(99), socket(10)};
    const process_visibility seen = owner_search{sockets}.run(owner_reach::until_found);
    EXPECT_EQ(seen.shortage.value(), shortage);
    EXPECT_FALSE(seen.all());
    EXPECT_EQ(sockets[0].owned, ownership::hidden);
    EXPECT_EQ(sockets[1].owned, ownership::found);
  }
  for (const int gone : {ENOENT, ESRCH}) {
    proc.file("400/secret", std::to_string(gone));
    std::vector<observed_socket> sockets{socket(99)};
    EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
    EXPECT_EQ(sockets[0].owned, ownership::ownerless);
  }
}

/// Reads the links of one process without memory, and with an error that no process can help.
ssize_t readlink_without_memory(int at, const char* path, char* to, std::size_t size) {
  const ssize_t length = ::readlinkat(at, path, to, size);
  const std::string_view link{to, length > 0 ? static_cast<std::size_t>(length) : 0};
  if (link == "socket:[77]") throw std::bad_alloc{};
  if (link != "socket:[78]") return length;
  errno = ENOMEM;
  return -1;
}

TEST_F(OwnerSearch, GoesOnBehindAProcessThatCannotBeRead) {
  tidewait::detail::sys.readlinkat = readlink_without_memory;
  for (const char* link : {"socket:[77]", "socket:[78]"}) {
    for (const char* pid : {"200", "400"}) {
      proc.link(std::string{pid} + "/fd/90", link);
      for (const owner_reach reach : {owner_reach::until_found, owner_reach::everyone}) {
        std::vector<observed_socket> sockets{socket(13), socket(14), socket(99)};
        const process_visibility seen = owner_search{sockets}.run(reach);
        EXPECT_EQ(seen.shortage, std::errc::not_enough_memory) << pid;
        EXPECT_EQ(sockets[0].owned, ownership::found) << pid;
        EXPECT_EQ(sockets[1].owned, ownership::found) << pid;
        EXPECT_EQ(sockets[2].owned, ownership::hidden) << pid;
      }
      ::unlink((std::string{tidewait::detail::sys.proc} + '/' + pid + "/fd/90").c_str());
    }
  }
}

TEST_F(OwnerSearch, LooksThroughAThreadWhereTheFirstHasEnded) {
  proc.process(600, 1, "server", {});
  const auto stat = [](const char* state, const char* threads) {
    return std::string{"600 (server) "} + state + " 1 1 1 0 -1 4194560 110 0 0 0 0 0 0 0 20 0 " +
           threads + " 0 1 1000 2\n";
  };
  proc.file("600/stat", stat("Z", "2"));
  proc.file("600/status", "State:\tZ (zombie)\nUid:\t0\t0\t0\t0\nThreads:\t2\n");
  proc.file("600/task/600/stat", stat("Z", "2"));
  proc.file("600/task/601/stat", stat("S", "2"));
  proc.link("600/task/601/fd/3", "socket:[20]");
  proc.file("600/task/601/cmdline", "server --port 80");
  proc.file("600/cmdline", "");
  for (const bool refused : {false, true}) {  // to root its directory is open, and empty
    if (refused) {
      for (const char* secret : {"600/secret", "600/task/600/secret"}) proc.file(secret, "13");
      tidewait::detail::sys.openat = open_fails_by_secret;
    }
    std::vector<observed_socket> sockets{socket(20)};
    EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
    EXPECT_THAT(holders(sockets), ElementsAre("other 600 fd 3"));
    EXPECT_EQ(sockets[0].owners.at(0).name, "server");
    EXPECT_EQ(sockets[0].owners.at(0).command, "server --port 80");
  }
}

TEST_F(OwnerSearch, KnowsThatAZombieHoldsNothing) {
  proc.file("400/secret", "");
  proc.file("400/status", "State:\tZ (zombie)\nUid:\t1001\t1001\t1001\t1001\nThreads:\t1\n");
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(99, 1001)};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).all());
  EXPECT_EQ(sockets[0].owned, ownership::ownerless);
}

TEST_F(OwnerSearch, SaysThatAChildOfItsOwnIsHidden) {
  proc.file("200/secret", "");
  tidewait::detail::sys.openat = open_unless_secret;
  std::vector<observed_socket> sockets{socket(12, 1001), socket(13)};
  const process_visibility seen = owner_search{sockets}.run(owner_reach::own_tree);
  EXPECT_FALSE(seen.all());
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
  EXPECT_THAT(holders(sockets), ElementsAre("", "descendant 300 fd 3"));
}

/// As with hidepid=1: processes of others appear, and that is all.
int open_unless_of_init(int at, const char* path, int flags, ...) {
  const std::string name{path};
  const std::string init = std::string{tidewait::detail::sys.proc} + "/1";
  if (name == init || name.compare(0, init.size() + 1, init + '/') == 0) {
    errno = EPERM;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST_F(OwnerSearch, SaysWhatIsHiddenThoughItDidNotHaveToLookThere) {
  std::vector<observed_socket> sockets{socket(10)};
  const auto look = [&] { return owner_search{sockets}.run(owner_reach::until_found); };
  EXPECT_TRUE(look().all());
  proc.file("1/secret", "");
  tidewait::detail::sys.openat = open_unless_secret;
  EXPECT_THAT(look().unreadable_users, ElementsAre(1001U));
  EXPECT_FALSE(look().hidepid);
  tidewait::detail::sys.openat = open_unless_of_init;
  EXPECT_TRUE(look().hidepid);
  tidewait::detail::sys.openat = ::openat;
  std::filesystem::remove_all(std::string{tidewait::detail::sys.proc} + "/1");
  EXPECT_TRUE(look().hidepid);
}

TEST_F(OwnerSearch, TakesProcessesThatShowNothingForHidepid) {
  tidewait::detail::sys.openat = open_unless_of_init;
  std::vector<observed_socket> sockets{socket(99, ::geteuid() + 1)};
  EXPECT_TRUE(owner_search{sockets}.run(owner_reach::until_found).hidepid);
  EXPECT_EQ(sockets[0].owned, ownership::hidden);
}

}  // namespace
