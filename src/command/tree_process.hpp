// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace tidewait::command {

/// A living process below this one, as a value.
struct tree_process {
  int pid = 0;
  int parent = 0;
  std::string name;     ///< At most 15 bytes, valid UTF-8.
  std::string command;  ///< Valid UTF-8; empty where the process has none (kernel, zombie).
};

}  // namespace tidewait::command
