// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// Runs programs: the one way in which tests do.
namespace selftest {

using words = std::vector<std::string>;

/// What surrounds the tests is not what is tested.
inline const bool surroundings_forgotten = [] {
  for (const char* name :
       {"TIDEWAIT_RUN", "TIDEWAIT_TEST", "TIDEWAIT_JOURNAL", "TIDEWAIT_POLICY", "TIDEWAIT_TALLY",
        "TIDEWAIT_RECORD", "TIDEWAIT_REPORT", "CTEST_INTERACTIVE_DEBUG_MODE", "GITHUB_ACTIONS"}) {
    ::unsetenv(name);
  }
  return true;
}();

/// How a program is run, and what is done in its process just before.
struct run_options {
  words environment = {};              ///< "NAME=value", on top of the test's own.
  std::function<void()> prepare = {};  ///< An exception ends the process with 126.
  bool together = false;               ///< Standard error goes where standard output goes.
  int out = -1;  ///< Instead of pipes; `run_result` then has no text of what goes there.
};

struct run_result {
  int status = -1;  ///< As a shell has it: the exit code, or 128 and the number of the signal.
  std::string out;
  std::string err;
};

/// The text without what tests that run at the same time put into it: a TIME_WAIT of nobody in
/// sight is noted wherever somebody looks.
inline std::string without_stray_notes(const std::string& text) {
  std::string kept;
  bool note = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string line = text.substr(at, next - at);
    at = next;
    const bool goes_on = note && line.rfind("      ", 0) == 0;
    note = goes_on || line.rfind("  note: a TIME_WAIT appeared", 0) == 0;
    if (!note) kept += line;
  }
  return kept;
}

/// A program that runs, its standard input empty and its output in pipes. It is killed and reaped
/// at the latest by the destructor.
class running {
 public:
  /// The program is searched in PATH. One that is named by its path is opened first, so that
  /// `prepare` may take the rights away to find it.
  explicit running(const words& command, const run_options& options = {}) {
    const int file = ::open(command.at(0).c_str(), O_RDONLY | O_CLOEXEC);
    std::array<int, 2> out{options.out, options.out};
    std::array<int, 2> err{options.out, options.out};
    std::array<int, 2> exec{};
    const bool piped = options.out < 0;
    if (::pipe2(exec.data(), O_CLOEXEC) != 0 || (piped && ::pipe2(out.data(), O_CLOEXEC) != 0) ||
        (!options.together && ::pipe2(err.data(), O_CLOEXEC) != 0)) {
      throw std::system_error{errno, std::generic_category(), command.at(0)};
    }
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
      ::dup2(out[1], 1);
      ::dup2(options.together ? out[1] : err[1], 2);
      become(command, options, file);
    }
    ::close(exec[1]);
    exec_ = exec[0];
    if (file >= 0) ::close(file);
    if (piped) take(out, out_);
    if (!options.together) take(err, err_);
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    finish();
    for (const int each : {out_, err_, exec_}) {
      if (each >= 0) ::close(each);
    }
  }

  /// -1 once it has ended.
  pid_t pid() const { return pid_; }
  const std::string& out() const { return got_.out; }

  bool alive() {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) ended(status);
    return pid_ > 0;
  }

  /// Waits until it has said so on standard output.
  bool says(const std::string& text) {
    while (got_.out.find(text) == std::string::npos && read_some()) {
    }
    return got_.out.find(text) != std::string::npos;
  }

  /// Waits until the process is the program, or has failed to become it.
  void await_exec() const {
    char none = 0;
    static_cast<void>(::read(exec_, &none, 1));  // exec closes the other end
  }

  /// Waits until the pipes are closed by all who have them, then for the program.
  run_result finish() {
    while (read_some()) {
    }
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, 0) == pid_) ended(status);
    got_.err = without_stray_notes(got_.err);
    return got_;
  }

 private:
  [[noreturn]] static void become(const words& command, const run_options& options, int file) {
    for (const std::string& each : options.environment) ::putenv(const_cast<char*>(each.c_str()));
    try {
      if (options.prepare) options.prepare();
    } catch (const std::exception& error) {
      ::dprintf(2, "%s", error.what());
      ::_exit(126);
    }
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    if (file >= 0) ::fexecve(file, arguments.data(), environ);
    ::dprintf(2, "cannot run %s", arguments[0]);
    ::_exit(127);
  }

  static void take(const std::array<int, 2>& ends, int& end) {
    ::close(ends[1]);
    end = ends[0];
  }

  void ended(int status) {
    got_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = -1;
  }

  bool read_some() {
    std::array<pollfd, 2> both{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
    constexpr int most_ms = 40000;
    if ((out_ < 0 && err_ < 0) || ::poll(both.data(), both.size(), most_ms) <= 0) return false;
    const auto read_from = [](const pollfd& ready, std::string& text, int& fd) {
      if (ready.revents == 0) return;
      char part[65536];
      const ssize_t got = ::read(fd, part, sizeof part);
      if (got > 0) {
        text.append(part, static_cast<std::size_t>(got));
      } else {
        ::close(std::exchange(fd, -1));
      }
    };
    read_from(both[0], got_.out, out_);
    read_from(both[1], got_.err, err_);
    return out_ >= 0 || err_ >= 0;
  }

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  int exec_ = -1;
  run_result got_;
};

/// Runs a program to its end.
inline run_result run_program(const words& command, const run_options& options = {}) {
  return running{command, options}.finish();
}

/// The same with its standard output and error as one text.
inline run_result run_together(const words& command, const words& environment = {}) {
  run_options options;
  options.environment = environment;
  options.together = true;
  return run_program(command, options);
}

}  // namespace selftest
