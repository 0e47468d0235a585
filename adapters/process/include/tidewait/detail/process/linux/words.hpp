// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// "signal 11 (SIGSEGV)".
inline std::string ended_by(int number) {
  const auto name = [](int signal) {
    switch (signal) {
      case SIGABRT: return " (SIGABRT)";
      case SIGBUS: return " (SIGBUS)";
      case SIGFPE: return " (SIGFPE)";
      case SIGHUP: return " (SIGHUP)";
      case SIGILL: return " (SIGILL)";
      case SIGINT: return " (SIGINT)";
      case SIGKILL: return " (SIGKILL)";
      case SIGPIPE: return " (SIGPIPE)";
      case SIGQUIT: return " (SIGQUIT)";
      case SIGSEGV: return " (SIGSEGV)";
      case SIGSYS: return " (SIGSYS)";
      case SIGTERM: return " (SIGTERM)";
      case SIGTRAP: return " (SIGTRAP)";
      default: return "";
    }
  };
  return "signal " + std::to_string(number) + name(number);
}

/// What a server was asked to end by.
inline std::string asked_by(int stop_signal) { return "signal " + std::to_string(stop_signal); }

inline void write_standard_error(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
