// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>

#include <string>

#include <tidewait/server_exit.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::string to_string(const server_exit& end) {
  if (end.how == ending::unknown) return "a status that another wait() in this program has taken";
  if (end.how == ending::exited) return "exit status " + std::to_string(end.value);
  const auto name = [](int number) {
    switch (number) {
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
  return "signal " + std::to_string(end.value) + name(end.value);
}

}  // namespace v0
}  // namespace tidewait
