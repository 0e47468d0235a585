// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

/// A living process that carries the mark of a run: in its environment, or, since servers write
/// their title over that (redis-server, nginx), in a resource limit, see `mark_limit`.
struct marked_process {
  int pid = 0;
  std::string name;     ///< At most 15 bytes, valid UTF-8.
  std::string command;  ///< Valid UTF-8; may be empty.
  std::string test;     ///< TIDEWAIT_TEST of its environment, valid UTF-8; may be empty.
  /// /proc/PID: it stays this process's when the pid is given to another, and takes signals for it
  /// (pidfd_send_signal(2)).
  detail::unique_fd directory;
};

/// A soft limit for RLIMIT_RTTIME that stands for the mark, 16 hexadecimal digits. It limits
/// nothing, being some 146,000 years of processor time under real-time scheduling (setrlimit(2)),
/// and it is inherited by whatever a process starts, also with another environment or for another
/// user.
std::uint64_t mark_limit(std::string_view mark);

/// The soft limit in the text of a /proc/PID/limits; nothing if it is unlimited or not there.
std::optional<std::uint64_t> limit_in(std::string_view limits);

/// Gives a process the mark's limit, for all that it starts from now on.
std::error_code put_mark_limit(int pid, std::string_view mark);

/// Every process that carries the mark and is no zombie, but this one and its ancestors. Throws
/// `std::system_error` if /proc cannot be read.
std::vector<marked_process> find_marked(std::string_view mark);

/// Ends those processes, and whatever they start meanwhile that is marked too: SIGTERM, SIGKILL
/// after `grace`. Returns those that are alive even after that.
std::vector<marked_process> end_marked(std::string_view mark,
                                       const std::vector<std::string>& tolerated_names,
                                       std::chrono::milliseconds grace);

/// When a process was started, in ticks since boot (proc(5), field 22 of /proc/PID/stat): together
/// with the pid it names one process. Empty if there is no such process.
std::string start_of(int pid);

}  // namespace tidewait::command
