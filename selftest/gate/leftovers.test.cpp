// SPDX-License-Identifier: BSL-1.0
//
// Which processes a gate takes for leftovers of its run, ends, and says to be gone.
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <thread>

#include <gmock/gmock.h>

#include "private_world.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace world;

/// Runs a function in a process without exec. It wears the mark by its limit only.
forked wearing(const std::function<void()>& work, const std::string& which = mark) {
  return forked{[&](auto say) {
    wear(which);
    ::setsid();
    say("\n");
    work();
    ::_exit(0);
  }};
}

/// Forks and exits on and on, for as long as this pid namespace is there. `live` runs in each.
[[noreturn]] void fork_on_and_on(const std::function<void()>& live) {
  ::signal(SIGCHLD, SIG_IGN);
  for (;;) {
    live();
    if (::fork() > 0) ::_exit(0);
  }
}

/// Whether a process of that name is there.
bool is_anywhere(const std::string& name) { return wearers(mark, name) != 0; }

TEST(GateEnd, PassesWhereNothingIsAlive) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    say(in_words(gate("begin", runs.path())));
    say(in_words(gate("end", runs.path())));
    say(text_of(runs / mark));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "exit code 0\nexit code 0\n(none)");
}

TEST(GateEnd, StrictDoesNotPassWhereTheTallyCannotBeReadOrIsMissing) {
  const std::string said = in_private_world([](auto say) {
    const auto leave = [](const std::string&) {};
    const auto replace = [](const std::string& tally) {
      ::unlink(tally.c_str());
      ::mkdir(tally.c_str(), 0700);
    };
    const auto remove = [](const std::string& tally) { ::unlink(tally.c_str()); };
    for (const auto& spoil :
         std::initializer_list<std::function<void(const std::string&)>>{leave, replace, remove}) {
      for (const bool strict : {false, true}) {
        const directory runs;
        const std::string tally = runs / ("tally-" + mark + ".jsonl");
        gate_options options;
        options.prepare = [&] { ::setenv("TIDEWAIT_TALLY", tally.c_str(), 1); };
        gate("begin", runs.path(), options);
        spoil(tally);
        if (strict) options.more = {"--strict"};
        const run_result end = gate("end", runs.path(), options);
        const bool is_said = end.err.find("the rules could not be judged") != std::string::npos;
        say(std::to_string(end.status) + (is_said ? " said, " : ", "));
      }
    }
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "0, 0, 0, 3 said, 0, 3 said, ");
}

TEST(GateEnd, EndsWhatIsAlive) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    process left{sleeper};
    process stranger{sleeper, ::getuid(), other_mark};
    process stopped{sleeper};
    ::kill(stopped.pid(), SIGSTOP);
    say(in_words(gate("end", runs.path())));
    say(left.state() + ' ' + stopped.state() + ' ' + stranger.state());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), HasSubstr("left 2 processes alive"),
                          HasSubstr("\n  terminated\nended ended alive")));
}

// Neither `environ` of its first thread nor its state tells that it lives.
TEST(GateEnd, EndsAServerWhoseFirstThreadHasEnded) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    forked server = wearing([] {
      std::thread{[] {
        while (::getppid() != 0) ::pause();
      }}.detach();
      ::syscall(SYS_exit, 0);
    });
    server.line();
    std::string state;
    while (state.find(") Z") == std::string::npos) {
      state = text_of("/proc/" + std::to_string(server.pid()) + "/stat");
    }
    say(in_words(gate("end", runs.path())));
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(server.pid()), &end, WEXITED | WNOHANG | WNOWAIT);
    say(end.si_pid == 0 ? "alive" : "ended by " + std::to_string(end.si_status));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), HasSubstr("left 1 process alive"),
                          HasSubstr("\n  terminated\nended by 15")));
}

TEST(GateEnd, TakesNoZombieForAlive) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    const forked gone = wearing([] { ::_exit(0); });
    std::string state;
    while (state.find(") Z") == std::string::npos) {
      state = text_of("/proc/" + std::to_string(gone.pid()) + "/stat");
    }
    say(in_words(gate("end", runs.path())));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "exit code 0\n");
}

class ForksOnAndOn : public testing::TestWithParam<int> {};

TEST_P(ForksOnAndOn, AndIsSeenAndEnded) {
  const auto live = [](const char* name) {
    ::prctl(PR_SET_NAME, name);
    if (GetParam() != 0) ::usleep(static_cast<useconds_t>(GetParam()));
  };
  for (const bool ignores : {false, true}) {
    const std::string said = in_private_world([&](auto say) {
      const directory runs;
      forked first = wearing([&] {
        if (ignores) ::signal(SIGTERM, SIG_IGN);
        fork_on_and_on([&] { live("chain"); });
      });
      first.wait();
      say(in_words(gate("end", runs.path())));
      say((is_anywhere("chain") ? "there" : "gone"));
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), testing::EndsWith("  terminated\ngone")));
  }
}

TEST_P(ForksOnAndOn, WhileSomethingElseIsTolerated) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    process tolerated{sleeper};
    forked first = wearing([] {
      fork_on_and_on([] {
        ::prctl(PR_SET_NAME, "chain");
        if (GetParam() != 0) ::usleep(static_cast<useconds_t>(GetParam()));
      });
    });
    first.wait();
    gate_options options;
    options.more = {"--tolerate", "owner=sleep"};
    say(in_words(gate("end", runs.path(), options)));
    say((is_anywhere("chain") ? "there " : "gone ") + tolerated.state());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), testing::EndsWith("gone alive")));
}

INSTANTIATE_TEST_SUITE_P(Microseconds, ForksOnAndOn, testing::Values(0, 50, 2000));

TEST(GateEnd, SparesTheReadersOfItsOutput) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    for (const std::string& script :
         {std::string{"$GATE 2>&1 | (tee $RUNS/log; echo $? >$RUNS/status)"},
          std::string{"$GATE 2>&1 | cat | (tee $RUNS/log; echo $? >$RUNS/status)"},
          std::string{"timeout 60 $GATE 2>&1 | (tee $RUNS/log; echo $? >$RUNS/status)"},
          std::string{"(tidewait() { $GATE; }; tidewait 2>&1) | (tee $RUNS/log >&2; "
                      "echo $? >$RUNS/status)"}}) {
      process left{sleeper};
      const std::string seen = shell(script, runs.path()).status == 0 ? "" : "the shell failed ";
      const std::string log = text_of(runs / "log");
      const std::string status = text_of(runs / "status");
      if (left.alive() || status != "0\n" || log.find("left 1 process alive") == log.npos ||
          log.find("\n  terminated\n") == log.npos) {
        say(script + ": " + seen + left.state() + ' ' + status + log + '\n');
      }
      ::unlink((runs / "log").c_str());
      ::unlink((runs / "status").c_str());
    }
    say("all");
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "all");
}

TEST(GateEnd, SparesNobodyElseOfItsShell) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    for (const std::string& script : {
             // A child of the same shell, in the same group and session.
             std::string{"sleep 61 & $GATE 2>&1 | tee $RUNS/log; wait"},
             // One that writes to the same pipe, or to the reader.
             std::string{"(sleep 61 & $GATE 2>&1) | tee $RUNS/log"},
             // One that reads from a pipe which anybody can open.
             std::string{"mkfifo $RUNS/fifo; sleep 61 <$RUNS/fifo & $GATE >$RUNS/fifo "
                         "2>$RUNS/log; wait; rm $RUNS/fifo"},
             // One that holds the pipe's other end, but would never see its end.
             std::string{"(sleep 61 </proc/self/fd/1 & $GATE 2>&1) | tee $RUNS/log"},
             // One that has a session of its own, as daemons have; from its exec on.
             std::string{"(setsid sleep 61 </proc/self/fd/1 >/dev/null 2>&1 & "
                         "until grep -qsx sleep /proc/[0-9]*/comm; do :; done; $GATE 2>&1) "
                         "| tee $RUNS/log"},
             // One that was read from by nobody.
             std::string{"sleep 61 | $GATE >$RUNS/log 2>&1"},
         }) {
      shell(script, runs.path());
      const std::string log = text_of(runs / "log");
      if (log.find("sleep 61") == log.npos || log.find("\n  terminated\n") == log.npos ||
          is_anywhere("sleep")) {
        say(script + '\n' + log + '\n');
      }
      ::unlink((runs / "log").c_str());
    }
    say("all");
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "all");
}

TEST(GateOfTwoUsers, AnotherUsersProcessThatWearsTheMarkIsNotJudged) {
  SKIP_UNLESS_ROOT();
  for (const auto& [victim, other] :
       {std::pair{alice, bob}, std::pair{uid_t{0}, bob}, std::pair{alice, uid_t{0}}}) {
    const std::string said = in_private_world([victim = victim, other = other](auto say) {
      const directory runs{victim};
      gate_options options;
      options.user = victim;
      process worn{sleeper, other};
      say(std::to_string(gate("begin", runs.path(), options).status) + ' ');
      say(in_words(gate("end", runs.path(), options)));
      say(worn.state());
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, AllOf(StartsWith("0 exit code 0\ntidewait: note: pid "),
                            HasSubstr("Operation not permitted"), testing::EndsWith("\nalive"),
                            Not(HasSubstr("left"))));
  }
}

// A set-user-ID program keeps the real uid of who runs it: of bob's it is not root's, of alice's it
// is hers.
TEST(GateOfTwoUsers, ASetUserIdProgramIsOfWhoRunsIt) {
  SKIP_UNLESS_ROOT();
  const auto set_user_id_of = [](uid_t real) {
    return [real] {
      if (::setresuid(real, 0, 0) != 0) ::_exit(125);
    };
  };
  for (const auto& [victim, runner, state] :
       {std::tuple{uid_t{0}, bob, "alive"}, std::tuple{alice, alice, "ended"}}) {
    const std::string said = in_private_world([&, victim = victim, runner = runner](auto say) {
      const directory runs{victim};
      gate_options options;
      options.user = victim;
      process worn{sleeper, 0, mark, set_user_id_of(runner)};
      say(in_words(gate("end", runs.path(), options)));
      say(worn.state());
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, testing::EndsWith(state));
  }
}

// It has become root altogether, as sudo does, and its parent is a process of the run.
TEST(GateOfTwoUsers, WhatTheRunStartedAsAnotherUserFailsAtOnce) {
  SKIP_UNLESS_ROOT();
  const std::string said = in_private_world([](auto say) {
    const directory runs{alice};
    gate_options options;
    options.user = alice;
    process starter{sleeper, 0, mark, [&] {
                      if (::fork() == 0) {
                        ::prctl(PR_SET_NAME, "server");
                        for (int fd = 3; fd < 64; ++fd) ::close(fd);
                        for (;;) ::pause();
                      }
                      become(alice);
                    }};
    say(in_words(gate("end", runs.path(), options)));
    say(starter.state());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 1\n"), HasSubstr("left 2 processes alive"),
                          HasSubstr("(server), which runs as uid 0: Operation not permitted"),
                          testing::EndsWith("ended")));
}

TEST(Gate, EndsWithThreeWhereItCannotLook) {
  const auto no_proc = [] { return ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0; };
  const auto no_files = [] {
    const int most = 64;
    for (int fd = 3; fd < most; ++fd) {
      if (::fcntl(fd, F_GETFD) == 0) ::close(fd);
    }
    const rlimit few{4, 4};
    return ::setrlimit(RLIMIT_NOFILE, &few) == 0;
  };
  for (const std::function<bool()>& spoil :
       {std::function<bool()>{no_proc}, std::function<bool()>{no_files}}) {
    const std::string said = in_private_world([&](auto say) {
      const directory runs;
      process left{sleeper};
      gate_options options;
      options.prepare = [&] {
        if (::unshare(CLONE_NEWNS) != 0 || !spoil()) ::_exit(0);
      };
      say(std::to_string(gate("begin", runs.path(), options).status) + ' ');
      say(std::to_string(gate("end", runs.path(), options).status));
    });
    SKIP_IF_DENIED(said);
    EXPECT_EQ(said, "3 3");
  }
}

TEST(GateEnd, EndsWhatIsLeftEvenWithoutADirectory) {
  const std::string said = in_private_world([](auto say) {
    process left{sleeper};
    say(in_words(gate("end", "/nowhere")));
    say(left.state());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 3\n"), HasSubstr("left 1 process alive"),
                          HasSubstr("/nowhere"), testing::EndsWith("ended")));
}

TEST(GateEnd, ReadsNoMoreOfAnEnvironmentThanItSays) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    const auto with_large_environment = [] {
      for (int i = 0; i < 12; ++i) {
        ::setenv(("LARGE_" + std::to_string(i)).c_str(), std::string(100000, 'x').c_str(), 1);
      }
    };
    process unmarked{sleeper, ::getuid(), "", with_large_environment};
    const std::string note = in_words(gate("end", runs.path()));
    say(note + unmarked.state() + '\n');
    process by_limit{sleeper, ::getuid(), mark, [&] {
                       ::unsetenv("TIDEWAIT_RUN");
                       with_large_environment();
                     }};
    const run_result end = gate("end", runs.path());
    say(std::to_string(end.status) + by_limit.state());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("exit code 0\ntidewait: note: the environment of pid "),
                          HasSubstr("(sleep) is too large"), testing::EndsWith("alive\n1ended")));
}

TEST(GateEnd, LetsNoNameSteerWhoReadsItsOutput) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    process left{
        {"sh", "-c", "sleep 60; : '\n::error::x\n##[add-mask]y\n\033[31m'"}, ::getuid(), mark, [] {
          ::setenv("TIDEWAIT_TEST",
                   "<CTestMeasurementFile type=\"file\" name=\"x\">/etc/shadow"
                   "</CTestMeasurementFile>\n::stop-commands::x\n\xe2\x80\xae",
                   1);
        }};
    say(in_words(gate("end", runs.path())));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("exit code 1\n"));
  for (const char* const order :
       {"<CTest", "</CTest", "\n::", " ::", "##[", "\033", "\xe2\x80\xae"}) {
    EXPECT_THAT(said, Not(HasSubstr(order)));
  }
}

}  // namespace
