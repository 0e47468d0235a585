// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where PATH has a program of that name; empty if nowhere. Not in a set-user-ID program.
inline std::string find_tool(std::string_view name) {
  const char* const path = environment("PATH");
  std::string_view rest = path == nullptr ? std::string_view{} : path;
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    if (directory.empty() || directory.front() != '/') continue;
    std::string file{directory};
    file.append("/").append(name);
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

/// What a tool prints on its standard output; nothing if it cannot be started, fails, prints more
/// than 4 MiB or takes longer than `most`: then it is killed. The program around does not notice:
/// no SIGCHLD, no child that its wait(2) could meet, no descriptor that the tool inherits, and no
/// handler of pthread_atfork(3) that runs.
inline std::optional<std::string> run_tool(const std::vector<std::string>& command,
                                           std::chrono::milliseconds most) {
  constexpr std::size_t most_output = std::size_t{4} << 20U;
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const unique_fd out{ends[0]};
  unique_fd in{ends[1]};
  const unique_fd null{sys.openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC)};
  if (!null) return std::nullopt;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of the program runs in the child
  constexpr long no_signal_at_exit = 0;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, no_signal_at_exit, 0, 0, 0, 0));
  if (child == 0) {
    // From here on only what is async-signal-safe.
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction usual {};
      usual.sa_handler = SIG_DFL;
      ::sigaction(signal, &usual, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(in.get(), STDOUT_FILENO);
    ::dup2(null.get(), STDERR_FILENO);
#ifdef SYS_close_range
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
#endif
    // execve(2) makes a process that has no signal at its exit an ordinary child again: so there is
    // one in between, which executes nothing, and takes the tool with it when it is killed.
    const auto tool = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (tool == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(STDOUT_FILENO);
    int status = 1;
    while (tool > 0 && ::waitpid(tool, &status, 0) < 0 && errno == EINTR) {
    }
    ::_exit(tool > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return std::nullopt;
  in.reset();
  const auto give_up = steady_now() + most;
  std::string output;
  bool whole = false;
  while (!whole && output.size() <= most_output) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(give_up - steady_now()).count();
    pollfd ready{out.get(), POLLIN, 0};
    if (left <= 0) break;
    if (::poll(&ready, 1, static_cast<int>(left)) <= 0) continue;
    char piece[4096];
    const ssize_t got = sys.read(out.get(), piece, sizeof piece);
    if (got > 0) output.append(piece, static_cast<std::size_t>(got));
    if (got < 0 && errno != EINTR) break;
    whole = got == 0;
  }
  if (!whole) ::kill(child, SIGKILL);  // its number cannot be another's: nobody has waited for it
  int status = 0;
  while (::waitpid(child, &status, static_cast<int>(__WCLONE)) < 0) {
    if (errno != EINTR) return std::nullopt;
  }
  if (!whole || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return output;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
