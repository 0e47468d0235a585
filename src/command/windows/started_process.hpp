// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>
#include <vector>

#include "system.hpp"

namespace tidewait::command {

/// A command that was started with our standard streams and all handles that may be inherited.
struct started_process {
  detail::unique_fd process;
  detail::unique_fd thread;  ///< Its first.

  /// PATH is searched. `flags` are those of CreateProcess.
  std::error_code start(const std::vector<std::string>& command, DWORD flags = 0);
  /// Waits for its end: the exit code.
  DWORD wait() const;
};

}  // namespace tidewait::command
