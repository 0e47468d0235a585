// SPDX-License-Identifier: BSL-1.0
//
// Which process a gate takes for the one that has started the run, and marks.
#include <cerrno>

#include <gmock/gmock.h>

#include "private_world.hpp"

namespace {

using testing::HasSubstr;
using testing::Not;
using namespace world;
using selftest::running;
using tidewait::command::limit_in;
using tidewait::command::mark_limit;
using tidewait::command::put_mark_limit;

const std::string gate_begin = std::string{SELFTEST_COMMAND} + " gate begin --runs $RUNS";

/// A shell in which RUNS is the directory, with the output of all that it starts.
running start_shell(const std::string& script, const directory& runs,
                    const std::function<void()>& prepare = {}) {
  run_options how;
  how.environment = {"TIDEWAIT_RUN=" + mark, "RUNS=" + runs.path()};
  how.prepare = prepare;
  how.together = true;
  return running{{"/bin/sh", "-c", script}, how};
}

tidewait::detail::process_stat stat_of(pid_t pid) {
  const auto process = tidewait::detail::open_process(pid);
  return tidewait::detail::read_process_stat(process.get())
      .value_or(tidewait::detail::process_stat{});
}

bool is_marked(pid_t pid, const std::string& which = mark) {
  rlimit limit{};
  return ::prlimit(pid, RLIMIT_RTTIME, nullptr, &limit) == 0 && limit.rlim_cur == mark_limit(which);
}

/// "pid 12 is noted, marked" of that pid.
std::string fate_of(pid_t pid, const directory& runs) {
  const std::string note = text_of(runs / mark);
  const bool noted = note.find("\npid " + std::to_string(pid) + '\n') != std::string::npos;
  return std::string{noted ? "noted" : "not noted"} + (is_marked(pid) ? ", marked" : ", unmarked");
}

TEST(GateBegin, NotesAndMarksWhatStartedIt) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    say(in_words(gate("begin", runs.path())));
    say(fate_of(::getpid(), runs));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "exit code 0\nnoted, marked");
}

/// What `work(tell)` tells as the first process of a container that has this name.
template <typename Work>
std::string in_first_process(const char* name, Work work) {
  forked container{[&](auto tell) {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
      tell("skip: no pid namespace in a pid namespace");
      return;
    }
    tell(forked{[&](auto tell_first) {
           if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) tell_first("no /proc\n");
           ::prctl(PR_SET_NAME, name);
           tell_first(std::to_string(::getpid()) + '\n');
           work(tell_first);
         }}.all());
  }};
  return container.all();
}

// A container may have nothing but ctest.
TEST(GateBegin, NotesAndMarksACtestThatIsTheFirstProcessOfAContainer) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    say(in_first_process("ctest", [&](auto tell) {
      tell(in_words(gate("begin", runs.path())));
      tell(fate_of(1, runs));
    }));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "1\nexit code 0\nnoted, marked");
}

// Its shell adopts orphans in its own session.
TEST(GateBegin, MarksNoOtherFirstProcessOfAContainer) {
  for (const bool is_orphan : {false, true}) {
    const std::string said = in_private_world([&](auto say) {
      const directory runs;
      say(in_first_process("sh", [&](auto tell) {
        const std::string wait = "while [ -e /proc/$$/exe ]; do :; done; ";
        const std::string orphaned = '(' + wait + "exec " + gate_begin + ") & exit 0";
        tell(is_orphan ? start_shell(orphaned, runs).finish().out
                       : in_words(gate("begin", runs.path())));
        tell(fate_of(1, runs) + text_of(runs / mark));
      }));
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, HasSubstr("process 1, which adopts orphans: if it started the run"));
    EXPECT_THAT(said, HasSubstr("not noted, unmarked"));
    EXPECT_THAT(said, HasSubstr("\npid 0\n"));
  }
}

// What adopts the gate then starts all kinds of things later, which no gate may end.
TEST(GateBegin, MarksNobodyElseIfWhatStartedItEndsMeanwhile) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    write_text(runs / other_mark, to_text(interrupted_note()));
    const std::string place = runs / "starter";
    // The gate ends this one, and it ends the gate's parent before it goes.
    forked avenger{[&](auto tell) {
      wear(other_mark);
      sigset_t set;
      ::sigemptyset(&set);
      ::sigaddset(&set, SIGTERM);
      ::sigprocmask(SIG_BLOCK, &set, nullptr);
      tell("\n");
      int signal = 0;
      ::sigwait(&set, &signal);
      const pid_t starter = std::stoi(text_of(place));
      ::kill(starter, SIGKILL);
      while (!stat_of(starter).ended()) ::usleep(1000);
      ::_exit(0);
    }};
    avenger.line();
    running starter = start_shell("echo $$ > $RUNS/starter; " + gate_begin + "; :", runs);
    const pid_t pid = starter.pid();
    const run_result begun = starter.finish();
    say(begun.out + "starter: " + fate_of(pid, runs) + "\nadopter: " + fate_of(1, runs));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("  terminated\n"));
  EXPECT_THAT(said, HasSubstr("starter: noted"));
  EXPECT_THAT(said, HasSubstr("adopter: not noted, unmarked"));
}

TEST(GateBegin, MarksNobodyElseIfWhatStartedItHasEnded) {
  const std::string said = in_private_world([](auto say) {
    const directory runs;
    const std::string script =
        "(while [ -e /proc/$$/exe ]; do :; done; exec " + gate_begin + ") & exit 0";
    const auto session = [] { ::setsid(); };
    const run_result begun = start_shell(script, runs, session).finish();
    say(begun.out + "adopter: " + fate_of(1, runs) + '\n' + text_of(runs / mark));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("the process that started the run cannot be seen, or has ended"));
  EXPECT_THAT(said, HasSubstr("adopter: not noted, unmarked"));
  EXPECT_THAT(said, HasSubstr("\npid 0\n"));
}

TEST(MarkLimit, IsOnlyForTheProcessThatWasStartedThen) {
  forked child{[](auto say) {
    say("\n");
    ::pause();
  }};
  child.line();
  const pid_t pid = child.pid();
  const std::uint64_t start = stat_of(pid).start;
  EXPECT_EQ(put_mark_limit(pid, start + 1, mark), std::errc::no_such_process);
  EXPECT_FALSE(is_marked(pid));

  // It ends as soon as it has the limit, and another that has its pid has it as well.
  static pid_t which = 0;
  which = pid;
  static const auto read = tidewait::detail::sys.read;
  tidewait::detail::sys.read = [](int file, void* text, std::size_t size) {
    if (!is_marked(which)) return read(file, text, size);
    errno = ESRCH;
    return ssize_t{-1};
  };
  const auto error = put_mark_limit(pid, start, mark);
  tidewait::detail::sys.read = read;
  EXPECT_EQ(error, std::errc::no_such_process);
  EXPECT_FALSE(is_marked(pid));

  EXPECT_FALSE(put_mark_limit(pid, start, mark));
  EXPECT_TRUE(is_marked(pid));
  ::kill(pid, SIGKILL);
  while (!stat_of(pid).ended()) ::usleep(1000);
  EXPECT_EQ(put_mark_limit(pid, start, other_mark), std::errc::no_such_process);
}

}  // namespace
