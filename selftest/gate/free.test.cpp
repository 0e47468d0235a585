// SPDX-License-Identifier: BSL-1.0
//
// `tidewait free` ends processes: each test does it in a pid namespace of its own.
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/bind_socket.hpp>
#include <tidewait/port_lease.hpp>

#include "private_world.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// What a server does on SIGTERM.
enum class on_term { end, ignore, close };

int listener_on(std::uint16_t port) {
  std::error_code error;
  const tidewait::endpoint local{tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}},
                                 port};
  auto fd =
      tidewait::detail::bind_socket({tidewait::protocol::tcp, local}, tidewait::reuse::none, error);
  if (error) throw std::system_error{error};
  tidewait::detail::listen_on(fd.get(), 5);
  return fd.release();
}

volatile sig_atomic_t closes = -1;

/// A forked process that listens.
class server {
 public:
  explicit server(std::uint16_t port, on_term how = on_term::end, uid_t user = ::getuid(),
                  int workers = 0)
      : child_{[=](auto say) {
          const int fd = listener_on(port);
          for (int i = 0; i < workers; ++i) {
            if (::fork() == 0) break;
          }
          ::signal(SIGTERM, how == on_term::ignore ? SIG_IGN : SIG_DFL);
          if (how == on_term::close) {
            closes = fd;
            ::signal(SIGTERM, [](int) { ::close(closes); });
          }
          world::become(user);
          say("ready\n");
          for (;;) ::pause();
        }} {
    for (int i = 0; i <= workers; ++i) child_.line();
  }
  /// "alive" or "ended".
  std::string state() const {
    // A process gives up its listener before it can be waited for.
    for (int i = 0; i < 200; ++i) {
      siginfo_t info{};
      constexpr int look = WEXITED | WNOHANG | WNOWAIT;
      if (::waitid(P_PID, static_cast<id_t>(child_.pid()), &info, look) != 0 || info.si_pid != 0)
        return "ended";
      ::usleep(1000);
    }
    return "alive";
  }

 private:
  forked child_;
};

run_result free_port(std::uint16_t port, std::vector<std::string> more = {"--yes"},
                     uid_t user = ::getuid()) {
  more.insert(more.begin(), {"free", std::to_string(port)});
  run_options how;
  how.prepare = [user] { world::become(user); };
  return tidewait_command(more, how);
}

#define IN_PRIVATE_WORLD(seen, ...)                              \
  const std::string seen = world::in_private_world(__VA_ARGS__); \
  if (seen.rfind("skip: ", 0) == 0) GTEST_SKIP() << seen

TEST(Free, EndsTheServerAndNobodyElse) {
  const auto port = tidewait::lease_port();
  const auto other = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number()};
    const server bystander{other.number()};
    const run_result result = free_port(port.number());
    say(world::in_words(result) + "server " + there.state() + ", bystander " + bystander.state());
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr("is free on every address\n"),
                          HasSubstr("1 process holds port"), HasSubstr("by SIGTERM\n"),
                          HasSubstr("server ended, bystander alive")));
}

TEST(Free, KillsWhoIgnoresSigterm) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number(), on_term::ignore};
    const run_result result = free_port(port.number(), {"--yes", "--grace", "20ms"});
    say(world::in_words(result) + "server " + there.state());
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr("killed pid"),
                          HasSubstr("20 ms after SIGTERM"), HasSubstr("server ended")));
}

// What could not be looked at is no evidence that nobody holds the port.
TEST(Free, SaysThatItCouldNotLookWhereDescriptorsAreFew) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number()};
    constexpr rlim_t most = 16;
    for (rlim_t few = 3; few < most && there.state() == "alive"; ++few) {
      run_options how;
      how.prepare = [few] {
        const rlimit limit{few, few};
        ::setrlimit(RLIMIT_NOFILE, &limit);
      };
      const run_result result =
          tidewait_command({"free", std::to_string(port.number()), "--yes"}, how);
      const std::string text = world::in_words(result);
      const bool wrong = text.find("nothing to end") != std::string::npos ||
                         (result.status == 0) != (there.state() == "ended");
      if (wrong) say("with " + std::to_string(few) + " descriptors: " + text);
    }
    say("server " + there.state());
  });
  EXPECT_EQ(seen, "server ended");
}

TEST(Free, KillsAtOnceWithoutGrace) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number()};
    const run_result result = free_port(port.number(), {"--yes", "--grace", "0"});
    say(world::in_words(result) + "server " + there.state());
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr(") by SIGKILL\n"),
                          Not(HasSubstr("SIGTERM")), HasSubstr("server ended")));
}

TEST(Free, LetsAServerLiveThatGaveUpThePort) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number(), on_term::close};
    const run_result result = free_port(port.number());
    say(world::in_words(result) + "server " + there.state());
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr("gave up the port"),
                          HasSubstr("server alive")));
}

TEST(Free, EndsAllWhoShareTheListener) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number(), on_term::end, ::getuid(), 3};
    say(world::in_words(free_port(port.number())));
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr("4 processes hold port"),
                          HasSubstr("is free on every address\n")));
}

/// A thread of it has a table of descriptors of its own, and the first thread none with the socket.
TEST(Free, EndsAServerThatOnlyAThreadHolds) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    forked server{[&](auto ready) {
      std::thread{[&] {
        ::unshare(CLONE_FILES);
        listener_on(port.number());
        ready("ready\n");
        for (;;) ::pause();
      }}.join();
    }};
    server.line();
    say(world::in_words(free_port(port.number())));
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 0\n"), HasSubstr("1 process holds port"),
                          HasSubstr("by SIGTERM\n")));
}

TEST(Free, DoesNothingToAFreePort) {
  const auto port = tidewait::lease_port();
  const run_result result = free_port(port.number());
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
}

TEST(Free, EndsNobodyUnaskedWithoutATerminal) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number()};
    const run_result result = free_port(port.number(), {});
    say(world::in_words(result) + "server " + there.state());
  });
  EXPECT_THAT(
      seen, AllOf(HasSubstr("exit code 2\n"), HasSubstr("give --yes"), HasSubstr("server alive")));
}

TEST(Free, EndsNobodyWhereWhoStartedItHoldsThePort) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const int fd = listener_on(port.number());
    const forked sharer{[](auto ready) {
      ready("ready\n");
      for (;;) ::pause();
    }};
    const run_result result = free_port(port.number());
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(sharer.pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    ::close(fd);
    say(world::in_words(result) + (info.si_pid == 0 ? "sharer alive" : "sharer ended"));
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 1\n"), HasSubstr("has started it"),
                          HasSubstr("nothing was ended"), HasSubstr("sharer alive")));
}

TEST(Free, NeverEndsProcessOne) {
  const auto port = tidewait::lease_port();
  const int fd = listener_on(port.number());  // which process 1 of the namespace inherits
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    ::close(fd);
    say(world::in_words(free_port(port.number())));
  });
  ::close(fd);
  EXPECT_THAT(seen, AllOf(HasSubstr("exit code 1\n"), HasSubstr("process 1 is never ended"),
                          HasSubstr("nothing was ended")));
}

TEST(Free, NeverEndsAnotherUsersProcess) {
  SKIP_UNLESS_ROOT();
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    for (const uid_t whose : {uid_t{0}, world::bob}) {
      const server there{port.number(), on_term::end, whose};
      const run_result result = free_port(port.number(), {"--yes"}, world::alice);
      say(world::in_words(result) + "server " + there.state() + '\n');
    }
    const server there{port.number(), on_term::end, world::bob};
    const int status = free_port(port.number()).status;
    say("as root: " + std::to_string(status) + ", " + there.state());
  });
  EXPECT_THAT(seen, AllOf(Not(HasSubstr("exit code 0")), HasSubstr("exit code 1\n"),
                          HasSubstr("nothing was ended: which process holds the port is not "),
                          Not(HasSubstr("nothing to end")), HasSubstr("server alive"),
                          Not(HasSubstr("server ended")), HasSubstr("as root: 0, ended")));
}

/// What a person sees who answers the question on a terminal.
std::string on_a_terminal(std::uint16_t port, const std::string& answer) {
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid < 0) return "skip: no terminal";
  if (pid == 0) {
    const std::string number = std::to_string(port);
    ::execl(SELFTEST_COMMAND, "tidewait", "free", number.c_str(), "--color", "never", nullptr);
    ::_exit(127);
  }
  std::string text;
  bool answered = false;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(terminal, part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(got));
    if (answered || text.find("[y/N] ") == std::string::npos) continue;
    answered = ::write(terminal, answer.data(), answer.size()) > 0;
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::close(terminal);
  return text + "exit code " + std::to_string(WEXITSTATUS(status));
}

TEST(Free, AsksOnATerminal) {
  const auto port = tidewait::lease_port();
  IN_PRIVATE_WORLD(seen, [&](auto say) {
    const server there{port.number()};
    std::string text = on_a_terminal(port.number(), "\n");
    if (text.rfind("skip: ", 0) == 0) return static_cast<void>(say(text));
    text += ", server " + there.state() + '\n';
    text += on_a_terminal(port.number(), "y\n");
    text += ", server " + there.state();
    say(text);
  });
  EXPECT_THAT(seen, AllOf(HasSubstr("End it? [y/N] "), HasSubstr("exit code 1, server alive\n"),
                          HasSubstr("exit code 0, server ended")));
}

}  // namespace
