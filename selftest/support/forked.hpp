// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <string>
#include <utility>

/// A forked child that runs a function of the test and tells the parent what it found, as text. Its
/// end of life is the parent's: it is killed and reaped at the latest by the destructor.
class forked {
 public:
  /// `work` gets a function that sends text to the parent; an exception is sent as its text.
  template <typename Work>
  explicit forked(Work&& work) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      const auto say = [to = ends[1]](const std::string& text) {
        return ::write(to, text.data(), text.size()) == static_cast<ssize_t>(text.size());
      };
      try {
        work(say);
      } catch (const std::exception& error) {
        say(std::string{"exception: "} + error.what());
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    from_ = ends[0];
  }
  forked(forked&& other) noexcept
      : pid_{std::exchange(other.pid_, -1)}, from_{std::exchange(other.from_, -1)} {}
  forked(const forked&) = delete;
  forked& operator=(const forked&) = delete;
  forked& operator=(forked&&) = delete;
  ~forked() { kill(); }

  int pid() const noexcept { return pid_; }

  /// One line of what it says, without its end; waits for it.
  std::string line() {
    std::string text;
    for (char c = '\0'; ::read(from_, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  /// All that it says until it ends.
  std::string all() {
    std::string text;
    char part[4096];
    for (ssize_t got = 0; (got = ::read(from_, part, sizeof part)) > 0;)
      text.append(part, static_cast<std::size_t>(got));
    wait();
    return text;
  }
  /// Its exit code; of one that was killed 128 and the signal's number.
  int wait() {
    if (pid_ > 0) {
      int status = 0;
      ::waitpid(pid_, &status, 0);
      pid_ = -1;
      exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return exit_;
  }
  /// kill -9, as an angry user or a timeout does it.
  void kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    wait();
    if (from_ >= 0) ::close(std::exchange(from_, -1));
  }

 private:
  pid_t pid_ = -1;
  int from_ = -1;
  int exit_ = -1;
};
