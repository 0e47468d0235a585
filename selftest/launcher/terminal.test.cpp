// SPDX-License-Identifier: BSL-1.0
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

/// A program in a terminal of its own.
class terminal {
 public:
  explicit terminal(const words& command) {
    pid_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::close(master_);
    ::waitpid(pid_, nullptr, 0);
  }
  bool works() const { return pid_ > 0; }
  void type(const std::string& text) {
    EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  /// Waits until the text appears after what was waited for before.
  bool shows(const std::string& text) {
    for (;;) {
      if (const auto at = screen_.find(text); at != std::string::npos) {
        screen_.erase(0, at + text.size());
        return true;
      }
      pollfd ready{master_, POLLIN, 0};
      char part[4096];
      if (::poll(&ready, 1, 30000) <= 0) return false;
      const ssize_t got = ::read(master_, part, sizeof part);
      if (got <= 0) return false;
      screen_.append(part, static_cast<std::size_t>(got));
    }
  }
  const std::string& screen() const { return screen_; }
  int status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int master_ = -1;
  pid_t pid_ = -1;
  std::string screen_;
};

TEST(RunInATerminal, TheCommandReadsFromItAndCtrlCEndsIt) {
  terminal screen{wrapped({}, {"sed", "-u", "s/hello/got &/"})};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  screen.type("hello\n");
  EXPECT_TRUE(screen.shows("got hello")) << screen.screen();
  screen.type("\x03");
  EXPECT_EQ(screen.status(), 130);
}

TEST(RunInATerminal, AShellStopsAndContinuesIt) {
  SKIP_WITHOUT("bash");
  terminal screen{{"bash", "--norc", "--noprofile", "-i"}};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  screen.type("PS1='rea''dy> '\n");
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type(program_path + " run -- sh -c 'echo be''gun; read line; echo \"got $line\"'\n");
  ASSERT_TRUE(screen.shows("begun")) << screen.screen();
  screen.type("\x1a");
  EXPECT_TRUE(screen.shows("Stopped")) << screen.screen();
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type("fg\n");
  EXPECT_TRUE(screen.shows("run --")) << screen.screen();
  screen.type("again\n");
  EXPECT_TRUE(screen.shows("got again")) << screen.screen();
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type("exit\n");
}

TEST(RunInATerminal, CtrlCReachesTheProgramThatStartedIt) {
  terminal screen{
      {"sh", "-c",
       "trap 'echo both' INT; " + program_path +
           " run -- sh -c 'trap \"exit 9\" INT; (sleep 0.3; echo up) & sleep 1000 & wait'; "
           "echo code $?"}};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  ASSERT_TRUE(screen.shows("up")) << screen.screen();
  screen.type("\x03");
  EXPECT_TRUE(screen.shows("both")) << screen.screen();
  EXPECT_TRUE(screen.shows("code 9")) << screen.screen();
}

}  // namespace
