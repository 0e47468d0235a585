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

#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/detail/linux/terminate.hpp>

namespace {

using namespace std::chrono_literals;
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

TEST(Terminate, CatchesAProcessThatForksAndExitsOnAndOn) {
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
