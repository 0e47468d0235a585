// SPDX-License-Identifier: BSL-1.0
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/terminate.hpp>

#include "swapped_system.hpp"

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using tidewait::detail::living_process;
using tidewait::detail::membership;
using tidewait::detail::open_process;
using tidewait::detail::process_walker;
using tidewait::detail::read_process_stat;
using tidewait::detail::terminate;
using tidewait::detail::termination;
using tidewait::detail::termination_rules;

/// A child that waits to be ended. It is reaped, at the latest by the destructor.
class child {
 public:
  explicit child(const std::function<void()>& first = [] {}) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::alarm(60);
      first();
      ::close(ends[0]);
      ::close(ends[1]);
      for (;;) ::pause();
    }
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0);
    ::close(ends[0]);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }
  living_process seen() const {
    living_process found;
    found.directory = open_process(pid_);
    found.stat = read_process_stat(found.directory.get()).value();
    return found;
  }
  bool ended() const { return seen().stat.ended(); }
  /// The signal that ended it; 0: it has not ended by one.
  int ended_by() const {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    return info.si_code == CLD_KILLED ? info.si_status : 0;
  }

 private:
  pid_t pid_ = -1;
};

using found = std::function<void(living_process&&)>;

termination_rules quick(std::chrono::milliseconds grace = 20s) {
  termination_rules rules;
  rules.grace = grace;
  rules.kill_time = 20s;
  return rules;
}

/// Finds the child while it lives.
std::function<bool(const found&)> finder(const child& one) {
  return [&one](const found& tell) {
    if (!one.ended()) tell(one.seen());
    return true;
  };
}

TEST(Terminate, AsksFirst) {
  const child one;
  const termination ended = terminate(finder(one), quick());
  EXPECT_EQ(one.ended_by(), SIGTERM);
  EXPECT_TRUE(ended.all_ended());
  EXPECT_THAT(ended.killed, IsEmpty());
}

TEST(Terminate, AsksByTheSignalThatIsWanted) {
  const child one;
  termination_rules rules = quick();
  rules.signal = SIGINT;
  terminate(finder(one), rules);
  EXPECT_EQ(one.ended_by(), SIGINT);
}

TEST(Terminate, KillsWhoIgnoresIt) {
  const child one{[] { ::signal(SIGTERM, SIG_IGN); }};
  const termination ended = terminate(finder(one), quick(20ms));
  EXPECT_EQ(one.ended_by(), SIGKILL);
  EXPECT_TRUE(ended.all_ended());
  ASSERT_THAT(ended.killed, SizeIs(1));
  EXPECT_EQ(ended.killed.front().pid, one.pid());
  EXPECT_NE(ended.killed.front().name, "");
}

TEST(Terminate, ContinuesWhoIsStopped) {
  const child one;
  ::kill(one.pid(), SIGSTOP);
  ::waitpid(one.pid(), nullptr, WUNTRACED);
  terminate(finder(one), quick());
  EXPECT_EQ(one.ended_by(), SIGTERM);
}

TEST(Terminate, DoesNotAskTwiceWhomItsGroupHasTold) {
  const child one;
  int groups = 0;
  termination_rules rules = quick();
  rules.signal_group = [&](int signal) {
    ++groups;
    EXPECT_EQ(signal, SIGTERM);
  };
  int walks = 0;
  terminate(
      [&](const found& tell) {
        if (++walks > 2) return true;
        living_process each = one.seen();
        each.told = true;
        tell(std::move(each));
        return true;
      },
      rules);
  EXPECT_EQ(groups, 1);
  EXPECT_FALSE(one.ended());
}

TEST(Terminate, TrustsOnlySeveralEmptyWalksInARow) {
  const child one{[] { ::signal(SIGTERM, SIG_IGN); }};
  // e: nobody; m: nobody, and somebody may have been missed; f: found.
  for (const std::string walks : {"ef", "eef", "mf", "emef", "eemeef", "mmmmmmf"}) {
    std::size_t next = 0;
    bool met = false;
    terminate(
        [&](const found& tell) {
          const char what = next < walks.size() ? walks[next] : 'e';
          ++next;
          if (what == 'f') tell(one.seen());
          met = met || what == 'f';
          return what != 'm';
        },
        quick());
    EXPECT_TRUE(met) << walks;
    EXPECT_EQ(next, walks.size() + 3) << walks;
  }
}

TEST(Terminate, NeverCallsGoneWhatItCouldNotSee) {
  termination_rules rules = quick(0ms);
  rules.kill_time = 20ms;
  const termination ended = terminate([](const found&) { return false; }, rules);
  EXPECT_FALSE(ended.certain);
  EXPECT_FALSE(ended.all_ended());
}

TEST(Terminate, NamesWhoSurvives) {
  const child one;
  ::kill(one.pid(), SIGKILL);
  EXPECT_EQ(one.ended_by(), SIGKILL);
  termination_rules rules = quick(0ms);
  rules.kill_time = 20ms;
  // As one that does not die: it is found all the time.
  const termination ended = terminate(
      [&](const found& tell) {
        tell(one.seen());
        return true;
      },
      rules);
  EXPECT_TRUE(ended.certain);
  EXPECT_FALSE(ended.all_ended());
  ASSERT_THAT(ended.survivors, SizeIs(1));
  EXPECT_EQ(ended.survivors.front().pid, one.pid());
  EXPECT_THAT(ended.killed, SizeIs(1));
}

TEST(Terminate, DoesNotSleepOnceItKills) {
  termination_rules rules = quick(0ms);
  rules.kill_time = 5ms;
  rules.wait = [](auto, auto) { ADD_FAILURE() << "slept"; };
  terminate([](const found&) { return false; }, rules);
}

TEST(Terminate, DoesNotWaitForWhomItMayNotSignal) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot become another user";
  const child roots;
  const child helper{[&] {
    int status = 1;
    if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
      termination_rules rules = quick(1h);
      const termination ended = terminate(
          [&](const found& tell) {
            tell(roots.seen());
            return true;
          },
          rules);
      const bool right = ended.refused.size() == 1 && ended.refused[0].pid == roots.pid() &&
                         ended.killed.empty() && ended.certain && !ended.all_ended();
      status = right ? 0 : 2;
    }
    ::_exit(status);
  }};
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(helper.pid()), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(info.si_code, CLD_EXITED);
  EXPECT_EQ(info.si_status, 0);
  EXPECT_FALSE(roots.ended());
}

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

TEST(ProcessWalker, SeesAProcessThatForksAndExitsOnAndOn) {
  int ends[2];  // held by each of its processes
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t first = ::fork();
  if (first == 0) {
    ::close(ends[0]);
    ::setsid();
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < end) {
      const pid_t next = ::fork();
      if (next > 0) ::_exit(0);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  ::waitpid(first, nullptr, 0);
  process_walker walker;
  // Each walk sees it, or says that it may have missed somebody; then all are killed.
  const auto find = [&](const found& tell) {
    bool any = false;
    const bool whole = walker.walk([&](living_process&& each) {
      if (each.stat.session != first) return membership::undecided;
      any = true;
      tell(std::move(each));
      return membership::member;
    });
    return whole || any;
  };
  for (int i = 0; i < 20; ++i) {
    bool seen = false;
    const bool whole = find([&](living_process&&) { seen = true; });
    EXPECT_TRUE(seen || !whole);
  }
  const termination ended = terminate(find, quick(0ms));
  EXPECT_TRUE(ended.all_ended());
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "all have ended";
  ::close(ends[0]);
}

}  // namespace
