// SPDX-License-Identifier: BSL-1.0
//
// Signals to `tidewait run` while its command is stopped.
#include <signal.h>

#include <fstream>
#include <string>

#include "run_launcher.hpp"

namespace {

/// Whether a child of that process is stopped.
bool has_stopped_child(pid_t parent) {
  const std::string id = std::to_string(parent);
  std::ifstream children{"/proc/" + id + "/task/" + id + "/children"};
  for (std::string child; children >> child;) {
    std::ifstream stat{"/proc/" + child + "/stat"};
    std::string text;
    std::getline(stat, text);
    const auto name_end = text.rfind(") ");
    if (name_end == std::string::npos) continue;
    const char state = text[name_end + 2];
    if (state == 'T' || state == 't') return true;
  }
  return false;
}

bool lists_children() { return std::ifstream{"/proc/thread-self/children"}.good(); }

/// What becomes of the command with the stopped child once the launcher gets SIGTERM.
int status_after_signal(const words& command, int signal) {
  running launcher{command};
  const pid_t pid = launcher.pid();
  EXPECT_TRUE(eventually([&] { return has_stopped_child(pid); }));
  ::kill(pid, signal);
  EXPECT_TRUE(eventually([&] { return !launcher.alive(); }));
  return launcher.alive() ? -1 : launcher.finish().status;
}

TEST(StoppedCommand, HearsWhatAsksToEnd) {
  if (!lists_children()) GTEST_SKIP() << "the kernel lists no children";
  for (const int signal : {SIGTERM, SIGHUP, SIGINT}) {
    const words command = wrapped({}, shell("kill -STOP $$; sleep " + unique_seconds()));
    EXPECT_EQ(status_after_signal(command, signal), 128 + signal);
  }
}

TEST(StoppedCommand, HearsWhatAsksToEndBeforeItHasStarted) {
  if (!lists_children()) GTEST_SKIP() << "the kernel lists no children";
  SKIP_WITHOUT("strace");
  if (run({"strace", "-o", "/dev/null", "true"}).status != 0) GTEST_SKIP() << "ptrace is denied";
  words command{"strace", "-D",
                "-f",     "-qq",
                "-o",     "/dev/null",
                "-e",     "trace=seccomp",
                "-e",     "inject=seccomp:signal=STOP"};
  for (const std::string& each : wrapped({}, {"sleep", unique_seconds()})) command.push_back(each);
  EXPECT_EQ(status_after_signal(command, SIGTERM), 128 + SIGTERM);
}

}  // namespace
