// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidewait::command {

/// What /proc/PID/status says of a process.
struct proc_status {
  std::string name;  ///< Valid UTF-8.
  int parent = 0;    ///< As /proc numbers it.
  bool zombie = false;
  /// Its pid in each pid namespace that it is in, from that of the mounted /proc inwards. Where
  /// /proc is an outer namespace's, its numbers are not those that kill(2) takes.
  std::vector<int> pids;
};

/// Reads the text of the file; what is missing stays empty.
proc_status parse_proc_status(std::string_view text);

/// Reads the file of a process, named as in /proc ("4711", "self"); nothing if it is gone.
std::optional<proc_status> read_proc_status(std::string_view pid);

/// The processes that /proc shows, each with its number there.
std::vector<std::pair<int, proc_status>> all_processes();

}  // namespace tidewait::command
