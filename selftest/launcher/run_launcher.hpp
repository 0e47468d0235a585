// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

using words = std::vector<std::string>;

inline const std::string tidewait = SELFTEST_TIDEWAIT;

/// What a program printed, and its exit code as a shell has it.
struct outcome {
  int status = -1;
  std::string out;
  std::string err;
};

/// The text without what tests that run at the same time put into it: a TIME_WAIT of nobody in
/// sight is noted wherever somebody looks.
inline std::string without_stray_notes(const std::string& text) {
  std::string kept;
  bool note = false;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const bool goes_on = note && line.rfind("      ", 0) == 0;
    note = goes_on || line.rfind("  note: a TIME_WAIT appeared", 0) == 0;
    if (!note) kept += line + '\n';
  }
  return kept;
}

/// A program that runs, its output in pipes. It is killed and reaped at the latest by the
/// destructor.
class running {
 public:
  explicit running(const words& command, const words& environment = {}) {
    int out[2];
    int err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
      ::dup2(out[1], 1);
      ::dup2(err[1], 2);
      // What surrounds this test is not what is tested.
      for (const char* name : {"TIDEWAIT_RUN", "TIDEWAIT_TEST", "TIDEWAIT_JOURNAL",
                               "TIDEWAIT_POLICY", "GITHUB_ACTIONS"}) {
        ::unsetenv(name);
      }
      for (const std::string& each : environment) ::putenv(const_cast<char*>(each.c_str()));
      std::vector<char*> arguments;
      for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
      arguments.push_back(nullptr);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(out[1]);
    ::close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    finish();
    ::close(out_);
    ::close(err_);
  }

  pid_t pid() const { return pid_; }
  const std::string& out() const { return got_.out; }

  /// Waits until it has said so on standard output.
  bool says(const std::string& text) {
    while (got_.out.find(text) == std::string::npos && read_some()) {
    }
    return got_.out.find(text) != std::string::npos;
  }

  /// Waits until both pipes are closed by all who have them, then for the program.
  outcome finish() {
    while (read_some()) {
    }
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, 0) == pid_) {
      got_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    pid_ = -1;
    got_.err = without_stray_notes(got_.err);
    return got_;
  }

 private:
  bool read_some() {
    pollfd both[2] = {{out_open_ ? out_ : -1, POLLIN, 0}, {err_open_ ? err_ : -1, POLLIN, 0}};
    if (!out_open_ && !err_open_) return false;
    constexpr int most_ms = 40000;
    if (::poll(both, 2, most_ms) <= 0) return false;
    const auto take = [](const pollfd& ready, std::string& text, bool& open) {
      if (ready.revents == 0) return;
      char part[4096];
      const ssize_t got = ::read(ready.fd, part, sizeof part);
      if (got > 0) text.append(part, static_cast<std::size_t>(got));
      open = got > 0;
    };
    take(both[0], got_.out, out_open_);
    take(both[1], got_.err, err_open_);
    return out_open_ || err_open_;
  }

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool out_open_ = true;
  bool err_open_ = true;
  outcome got_;
};

inline outcome run(const words& command, const words& environment = {}) {
  return running{command, environment}.finish();
}

/// `tidewait run <options> -- <command>`
inline words wrapped(const words& options, const words& command) {
  words whole{tidewait, "run"};
  whole.insert(whole.end(), options.begin(), options.end());
  whole.emplace_back("--");
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

inline words shell(const std::string& script) { return {"sh", "-c", script}; }
inline words python(const std::string& script) { return {"/usr/bin/python3", "-c", script}; }

inline outcome run_shell(const words& options, const std::string& script,
                         const words& environment = {}) {
  return run(wrapped(options, shell(script)), environment);
}

inline bool installed(const std::string& program) {
  return run(shell("command -v " + program)).status == 0;
}

/// How long a sleep takes that no other test, nor another run of this one, asks for.
inline std::string unique_seconds() {
  static int count = 0;
  return std::to_string(10000 + ::getpid() % 80000) + "." + std::to_string(1000 + count++);
}

/// Whether a process with this argument is alive. (The pattern does not match itself.)
inline bool is_alive(const std::string& argument) {
  const std::string pattern = '[' + argument.substr(0, 1) + ']' + argument.substr(1);
  return run(shell("grep -qzsx -- '" + pattern + "' /proc/[0-9]*/cmdline")).status == 0;
}

/// Waits until the condition holds; false if it still does not after half a minute.
inline bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::usleep(20000);
  }
  return true;
}

/// A directory that ends with the test.
class directory {
 public:
  directory() { ::mkdtemp(path_.data()); }
  ~directory() { run({"rm", "-rf", path_}); }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_ = testing::TempDir() + "tidewait-XXXXXX";
};

/// Why there is no isolation here; empty if there is.
inline std::string isolation_denied() { return run(wrapped({"--isolate=require"}, {"true"})).err; }

#define SKIP_WITHOUT_ISOLATION() \
  if (const std::string why = isolation_denied(); !why.empty()) GTEST_SKIP() << why

#define SKIP_WITHOUT(program) \
  if (!installed(program)) GTEST_SKIP() << (program) << " is not installed"

/// Kills the process whose pid the text begins with; false if it begins with none.
inline bool end_process(const std::string& text) {
  const int pid = std::atoi(text.c_str());
  return pid > 1 && ::kill(pid, SIGKILL) == 0;
}
