// SPDX-License-Identifier: BSL-1.0
//
// Who has to be stopped, and how: the same listener in the hands of different programs.
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstring>
#include <string>

#include <tidewait/detail/linux/clocks.hpp>

#include "causes.hpp"

namespace {

using tidewait::render;

using namespace causes;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// A process that is no relative of the one that asks, after `become(listener)` in it: once it has
/// that name, or without one that state.
template <typename Become>
std::string held_by(Become become, const std::string& name = {}, char state = 'T') {
  return in_namespace([&] {
    forked holder{[&](auto say) {
      become_stranger();
      const unique_fd listener = open(here);
      say(std::string{"ready\n"});
      become(listener.get());
    }};
    if (holder.line() != "ready") return std::string{"skip: no holder"};
    const auto is_there = [&] {
      const auto process = tidewait::detail::open_process(holder.pid());
      const auto stat = tidewait::detail::read_process_stat(process.get());
      return name.empty() ? stat && stat->state == state
                          : tidewait::detail::read_process_name(process.get()) == name;
    };
    for (int i = 0; i < 5000 && !is_there(); ++i) {
      tidewait::detail::sleep_for(std::chrono::milliseconds{1});
    }
    forked asking{[&](auto say) { say(why(here)); }};
    return asking.all();
  });
}

void let_inherit(int fd) { ::fcntl(fd, F_SETFD, 0); }

void call_oneself(const char* name) {
  ::prctl(PR_SET_NAME, name);
  ::pause();
}

TEST(Holder, ThatIsAProgramWhichCannotListenHasInheritedTheSocket) {
  const struct {
    const char* program;
    const char* first;
    const char* second;
  } table[] = {{"sleep", "1000", nullptr}, {"tail", "-f", "/dev/null"}};
  for (const auto& row : table) {
    const std::string said = held_by(
        [&](int fd) {
          let_inherit(fd);
          ::execlp(row.program, row.program, row.first, row.second, nullptr);
        },
        row.program);
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said,
                AllOf(ContainsRegex(std::string{"pid [0-9]+ \\("} + row.program +
                                    "\\) has inherited the listening socket \\(fd [0-9]+\\) "
                                    "from the program that bound it"),
                      HasSubstr("fix: open the socket with SOCK_CLOEXEC in that program"),
                      HasSubstr("to free the port now, stop pid"), Not(HasSubstr("is listening"))));
  }
}

TEST(Holder, ThatGotTheSocketOnPurposeIsTheServer) {
  const std::string by_environment = held_by(
      [](int fd) {
        let_inherit(fd);
        ::setenv("LISTEN_FDS", "1", 1);
        ::execlp("sleep", "sleep", "1000", nullptr);
      },
      "sleep");
  SKIP_IF_DENIED(by_environment);
  EXPECT_THAT(by_environment, HasSubstr("(sleep) is listening on 127.0.0.1:20111"));
  const std::string by_standard_input = held_by(
      [](int fd) {
        ::dup2(fd, 0);
        ::close(fd);
        ::execlp("sleep", "sleep", "1000", nullptr);
      },
      "sleep");
  EXPECT_THAT(by_standard_input, HasSubstr("(sleep) is listening on 127.0.0.1:20111"));
}

TEST(Holder, ThatStartedAProgramWhichInheritedTheSocketIsTheServer) {
  const std::string said = in_namespace([] {
    forked holder{[&](auto say) {
      become_stranger();
      const unique_fd listener = open(here);
      let_inherit(listener.get());
      forked child{[](auto) { ::execlp("sleep", "sleep", "1000", nullptr); }};
      const auto name = [&] {
        return tidewait::detail::read_process_name(
            tidewait::detail::open_process(child.pid()).get());
      };
      for (int i = 0; i < 5000 && name() != "sleep"; ++i) {
        tidewait::detail::sleep_for(std::chrono::milliseconds{1});
      }
      say(std::string{"ready\n"});
      ::pause();
    }};
    if (holder.line() != "ready") return std::string{"skip: no holder"};
    std::string text;
    int child = 0;
    {
      forked asking{[&](auto say) {
        const auto [told, seen] = tidewait::explain_bind(here);
        std::string pid = "0";
        for (const auto& owner : told.conflicting.at(0).owners) {
          if (owner.inherited) pid = std::to_string(owner.pid);
        }
        say(pid + '\n' + render(told, seen));
      }};
      child = std::stoi(asking.line());
      text = asking.all();
    }
    if (child > 0) ::kill(child, SIGKILL);
    return text;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(ContainsRegex("is listening on 127.0.0.1:20111; pid [0-9]+ \\(sleep\\) "
                                        "has inherited the listening socket"),
                          HasSubstr("stop both, and open the socket with SOCK_CLOEXEC")));
}

/// Three processes that hold the listener, as what is forked does.
std::string fork_workers(bool end_with_us) {
  std::string pids;
  for (int i = 0; i < 3; ++i) {
    const pid_t worker = ::fork();
    if (worker == 0) {
      if (end_with_us) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::pause();
      ::_exit(0);
    }
    pids += ' ' + std::to_string(worker);
  }
  return pids;
}

TEST(Holder, WithWorkersHasToEndThem) {
  const std::string said = in_namespace([] {
    return beside(
        [] {
          unique_fd listener = open(here);
          fork_workers(true);
          return listener;
        },
        [] { return why(here); });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(ContainsRegex("why: pid [0-9]+ \\([^)]+\\) and 3 that it started are "
                                        "listening on 127.0.0.1:20111"),
                          ContainsRegex("stop pid [0-9]+ by SIGTERM, so that it ends the others "
                                        "\\(after `kill -9` they keep the port\\)")));
}

TEST(Holder, ThatHasEndedWithoutItsWorkersLeavesThemAll) {
  const std::string said = in_namespace([] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that the workers can be waited for
    forked master{[](auto say) {
      become_stranger();
      const unique_fd listener = open(here);
      say(fork_workers(false) + '\n');
    }};
    const std::string workers = master.line();
    master.wait();
    forked asking{[&](auto say) { say("workers:" + workers + '\n' + why(here)); }};
    std::string text = asking.all();
    for (std::string_view rest = workers; !rest.empty();) {
      const auto pid = tidewait::detail::parse_pid(tidewait::detail::take_word(rest));
      if (pid && ::kill(*pid, SIGKILL) == 0) ::waitpid(*pid, nullptr, 0);
    }
    return text;
  });
  SKIP_IF_DENIED(said);
  const auto at = said.find("workers:") + 8;
  const std::string workers = said.substr(at, said.find_first_not_of(" 0123456789", at) - at);
  EXPECT_THAT(said, AllOf(HasSubstr(" and 2 more are listening on 127.0.0.1:20111"),
                          HasSubstr("stop them all: `kill" + workers.substr(0, 4))));
}

TEST(Holder, ThatIsStoppedHasToBeContinuedOrKilled) {
  const std::string said = held_by([](int) { ::raise(SIGSTOP); });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr(" (stopped) is listening on"),
                          HasSubstr("SIGTERM does nothing to a stopped process: `kill -CONT "),
                          HasSubstr("`kill -KILL ")));
}

TEST(Holder, ThatADebuggerHasStoppedIsContinuedThere) {
  const std::string said = held_by(
      [](int) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
      },
      {}, 't');
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(ContainsRegex("\\(stopped by pid [0-9]+ \\([^)]+\\)\\) is listening on"),
                          ContainsRegex("a debugger has stopped: continue it in\n? *pid [0-9]+ "),
                          HasSubstr("`kill -KILL "), Not(HasSubstr("-CONT"))));
}

/// Its parent cannot reap it, and it is not gone: its other threads hold the socket.
TEST(Holder, WhoseMainThreadHasEndedIsToldFromAZombie) {
  const std::string said = held_by(
      [](int) {
        pthread_t thread{};
        ::pthread_create(
            &thread, nullptr, [](void*) -> void* { return ::pause(), nullptr; }, nullptr);
        ::syscall(SYS_exit, 0);
      },
      {}, 'Z');
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("(defunct in ps, but only its main thread has ended) is"),
                          HasSubstr("stop that process")));
}

TEST(Holder, ThatIsAMiddlemanIsStoppedWhereItIsManaged) {
  const struct {
    const char* name;
    const char* fix;
  } table[] = {
      {"docker-proxy", "`docker ps --filter publish=20111` names it"},
      {"systemd", "`systemctl --user list-sockets` names the .socket unit"},
      {"dockerd", "`docker ps --filter publish=20111` names it"},
      {"rootlessport", "`podman ps` names it"},
      {"pasta.avx2", "`podman ps` names it"},
      {"ssh", "ssh forwards the port (-L, -D, LocalForward): end that ssh"},
  };
  for (const auto& row : table) {
    const std::string said = held_by([&](int) { call_oneself(row.name); }, row.name);
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, AllOf(HasSubstr(row.fix), HasSubstr("or use another port")));
  }
}

TEST(Holder, IsNamedWithWhoStartedItIfThatIsNobodyAbove) {
  const std::string said = in_namespace([] {
    forked editor{[](auto say) {
      become_stranger();
      ::prctl(PR_SET_NAME, "editor");
      forked server{[say](auto) {
        const unique_fd listener = open(here);
        ::prctl(PR_SET_NAME, "language-server");
        say(std::string{"ready\n"});
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::pause();
      }};
      ::pause();
    }};
    if (editor.line() != "ready") return std::string{"skip: no server"};
    forked asking{[](auto say) { say(why(here)); }};
    return asking.all();
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, ContainsRegex("\\(language-server\\), started by pid [0-9]+ \\(editor\\), is "
                                  "listening on"));
}

TEST(Holder, ThatIsJustEndingIsNoRiddle) {
  for (int i = 0; i < 20; ++i) {
    const std::string said = in_namespace([] {
      forked holder{[](auto say) {
        become_stranger();
        const unique_fd listener = open(here);
        say(std::string{"ready\n"});
        ::pause();
      }};
      if (holder.line() != "ready") return std::string{"skip: no holder"};
      ::kill(holder.pid(), SIGKILL);
      const auto [told, seen] = tidewait::explain_bind(here);
      return render(told, seen);
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said, testing::AnyOf(HasSubstr("is free"), HasSubstr("is still listening")));
    EXPECT_THAT(said, AllOf(Not(HasSubstr("no process")), Not(HasSubstr("not visible"))));
  }
}

}  // namespace
