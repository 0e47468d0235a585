// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/error.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {

/// How a process ended (wait(2)).
enum class ending : std::uint8_t {
  exited,     ///< With an exit status.
  signalled,  ///< By a signal.
  unknown,    ///< Another part of this program waited for it first, and has the status.
};

/// How a server ended, and what was left of it.
struct server_exit {
  ending how = ending::unknown;   ///< How it ended.
  int value = 0;                  ///< The exit status, or the signal's number.
  bool by_itself = false;         ///< It had ended before anybody stopped it.
  bool crashed = false;           ///< A signal ended it that nobody here had sent.
  std::vector<process> killed{};  ///< Processes that were still there when the grace was over.
  std::vector<process>
      escaped{};  ///< Descendants that had left its process group; they were ended.
  std::vector<process> not_permitted{};  ///< Descendants of another user, who may not be signalled.
  std::vector<process> survivors{};      ///< Processes that even SIGKILL did not end.
  bool uncertain = false;  ///< Some may be left that were not seen, or fork and exit too fast.
  std::chrono::milliseconds took{0};  ///< From the signal to the end of the last process.

  /// Nobody had to be killed, had run away, crashed, or ended before.
  bool orderly() const noexcept {
    return !by_itself && !crashed && killed.empty() && escaped.empty() && not_permitted.empty() &&
           survivors.empty() && !uncertain;
  }
};

/// "exit status 3", "signal 11 (SIGSEGV)".
std::string to_string(const server_exit& end);

/// A server could not be started, is not ready in time, has ended or met a stranger on its port.
/// `what()` reads "doing: error; likely cause", and below that how it stands, the last lines of the
/// server's output, and why its port is taken. The error is the system's where the system refused
/// something, `std::errc::timed_out`, `errc::server_ended` or `errc::foreign_listener`.
class server_error : public error {
 public:
  /// `doing`: what failed; `likely_cause`: one sentence, may be empty; `details`: lines to print
  /// below.
  server_error(std::error_code code, const std::string& doing, const std::string& likely_cause,
               std::string details)
      : error{code, doing, likely_cause}, details_{std::move(details)} {
    text_ = error::what();
    if (!details_.empty()) text_ += '\n' + details_;
  }
  /// The message with its details: how the server ended, what it listens on, its last output.
  const char* what() const noexcept override { return text_.c_str(); }
  /// The lines below the first.
  const std::string& details() const noexcept { return details_; }

 private:
  std::string details_;
  std::string text_{};
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/process/impl/server_exit.hpp>
#endif
