// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/process_walk.hpp>

#include "swapped_system.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::detail::living_process;
using tidewait::detail::membership;
using tidewait::detail::process_walker;

/// The pids that a walk offers.
std::vector<int> walked(process_walker& walker, bool& whole,
                        membership as = membership::undecided) {
  std::vector<int> pids;
  whole = walker.walk([&](living_process&& each) {
    pids.push_back(each.stat.pid);
    return as;
  });
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

TEST(ProcessWalker, OffersAllThatLiveButThisOne) {
  const proc_tree proc;
  proc.link("self", "7");
  for (const int pid : {1, 7, 8, 9}) proc.process(pid, 1, "x", {});
  proc.file("9/stat", "9 (x) Z 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n");
  proc.process(10, 1, "only its main thread has ended", {});
  proc.file("10/stat", "10 (x) Z 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 2 0 5 0 0\n");
  proc.process(11, 1, "kernel thread", {});
  proc.file("11/stat", "11 (x) S 1 1 1 0 -1 2129984 1 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n");
  process_walker walker;
  bool whole = false;
  EXPECT_THAT(walked(walker, whole), ElementsAre(1, 8, 10));
  EXPECT_TRUE(whole);
}

/// A caller that knows neither itself nor its children would take init for one of them, and end it.
TEST(ProcessWalker, OffersNobodyWhereProcDoesNotShowThisProcess) {
  const proc_tree proc;
  for (const int pid : {1, 7, 8}) proc.process(pid, 0, "x", {});
  process_walker walker;
  bool whole = true;
  EXPECT_FALSE(walker.can_look());
  EXPECT_THAT(walked(walker, whole), IsEmpty());
  EXPECT_FALSE(whole);
  proc.link("self", "7");
  proc.file("7/stat", "garbage");
  EXPECT_THAT(walked(walker, whole), IsEmpty());
  EXPECT_FALSE(whole);
  proc.process(7, 0, "it can be read again", {});
  EXPECT_THAT(walked(walker, whole), ElementsAre(1, 8));
  EXPECT_TRUE(whole);
}

/// Fails to open /proc/8, as when no descriptor is left.
int open_all_but_8(int at, const char* path, int flags, ...) {
  const std::string_view name{path};
  if (name.size() > 2 && name.substr(name.size() - 2) == "/8") {
    errno = EMFILE;
    return -1;
  }
  return ::openat(at, path, flags);
}

TEST(ProcessWalker, HasMissedWhomItCouldNotOpen) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  proc.file("7/status", "NSpid:\t7\n");
  for (const int pid : {8, 9}) proc.process(pid, 1, "x", {});
  proc.file("loadavg", "0.1 0.2 0.3 1/99 9\n");
  process_walker walker;
  tidewait::detail::sys.openat = open_all_but_8;
  bool whole = true;
  EXPECT_THAT(walked(walker, whole), ElementsAre(9));
  EXPECT_FALSE(whole);
  tidewait::detail::sys.openat = ::openat;
  EXPECT_THAT(walked(walker, whole), ElementsAre(8, 9));
  EXPECT_TRUE(whole);
}

TEST(OwnLine, SaysThatAnAncestorCouldNotBeRead) {
  const proc_tree proc;
  proc.link("self", "9");
  proc.process(9, 8, "self", {});
  proc.process(8, 7, "shell", {});
  std::error_code error;
  EXPECT_THAT(tidewait::detail::own_line(error), ElementsAre(9, 8, 7));
  EXPECT_FALSE(error) << "7 is of an outer namespace, or hidden";
  tidewait::detail::sys.openat = open_all_but_8;
  EXPECT_THAT(tidewait::detail::own_line(error), ElementsAre(9, 8));
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

TEST(ProcessWalker, LooksAtAStrangerOnce) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  proc.process(8, 1, "x", {});
  process_walker walker;
  bool whole = false;
  EXPECT_THAT(walked(walker, whole, membership::stranger), ElementsAre(8));
  EXPECT_THAT(walked(walker, whole), IsEmpty());
  proc.file("8/stat", proc_tree::stat_text(8, 1, "the pid went round", 77));
  EXPECT_THAT(walked(walker, whole), ElementsAre(8));
}

TEST(ProcessWalker, HasMissedSomebodyWhereOneWasGoneBeforeItWasLookedAt) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  proc.process(8, 1, "x", {});
  proc.file("8/stat", "");
  process_walker walker;
  bool whole = true;
  EXPECT_THAT(walked(walker, whole), IsEmpty());
  EXPECT_FALSE(whole);
}

TEST(ProcessWalker, LooksAtThoseThatWereStartedMeanwhile) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  proc.file("7/status", "NSpid:\t7\n");
  proc.process(8, 1, "x", {});
  proc.file("loadavg", "0.1 0.2 0.3 1/99 8\n");
  process_walker walker;
  std::vector<int> pids;
  const bool whole = walker.walk([&](living_process&& each) {
    pids.push_back(each.stat.pid);
    if (each.stat.pid == 8) proc.process(9, 8, "y", {});
    if (each.stat.pid == 9) proc.process(10, 9, "z", {});
    if (each.stat.pid < 10)
      proc.file("loadavg", "0.1 0.2 0.3 1/99 " + std::to_string(each.stat.pid + 1) + '\n');
    return membership::undecided;
  });
  EXPECT_TRUE(whole);
  EXPECT_THAT(pids, testing::IsSupersetOf({8, 9, 10}));
}

/// Whether a walk is sure while `step` processes are started for each that it looks at.
bool is_sure_while_pids_are_given(int step) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  proc.file("7/status", "NSpid:\t7\n");
  proc.process(8, 1, "x", {});
  proc.file("loadavg", "0.1 0.2 0.3 1/99 8\n");
  process_walker walker;
  int newest = 8;
  return walker.walk([&](living_process&&) {
    newest += step;
    proc.process(newest, 1, "y", {});
    proc.file("loadavg", "0.1 0.2 0.3 1/99 " + std::to_string(newest) + '\n');
    return membership::undecided;
  });
}

TEST(ProcessWalker, IsNotKeptFromBeingSureByStrangersThatForkOnAndOn) {
  EXPECT_TRUE(is_sure_while_pids_are_given(1));
}

TEST(ProcessWalker, IsNotSureWherePidsAreGivenFasterThanItLooks) {
  EXPECT_FALSE(is_sure_while_pids_are_given(20));
}

TEST(ProcessWalker, GoesOnWhereOneProcessFails) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 1, "self", {});
  for (const int pid : {8, 9, 10}) proc.process(pid, 1, "x", {});
  process_walker walker;
  int offered = 0;
  EXPECT_FALSE(walker.walk([&](living_process&& each) {
    ++offered;
    if (each.stat.pid == 9) throw std::bad_alloc{};
    return membership::undecided;
  }));
  EXPECT_EQ(offered, 3);
}

}  // namespace
