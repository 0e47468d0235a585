// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

/// Whose a process is that carries the mark of a run. Anybody can read a mark and wear it.
enum class attribution : std::uint8_t {
  own,      ///< This process's user started it, as a set-user-ID program or not.
  started,  ///< It runs as another user, but its ancestors say that this user started it.
  foreign,  ///< It runs as another user, and nothing shows that this one started it.
};

/// A living process that carries the mark of a run: in its environment, or, since servers write
/// their title over that (redis-server, nginx), in a resource limit, see `mark_limit`.
struct marked_process {
  int pid = 0;  ///< As /proc numbers it.
  int parent = 0;
  int session = 0;
  std::uint64_t start = 0;
  std::uint32_t uid = 0;  ///< The real one.
  attribution whose = attribution::foreign;
  /// The shell of this process started it after this process, and it may yet become a reader of our
  /// output: the shell has forked, and not yet set up the pipe.
  bool unsettled = false;
  std::string name;       ///< At most 15 bytes, valid UTF-8.
  std::string command;    ///< Valid UTF-8; may be empty.
  std::string test;       ///< TIDEWAIT_TEST of its environment, valid UTF-8; may be empty.
  std::error_code error;  ///< Why it could not be ended.
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

/// The same for the process with that pid that was started then (clock ticks since boot), and for
/// none that has got its pid since. ESRCH: it has ended.
std::error_code put_mark_limit(int pid, std::uint64_t start, std::string_view mark);

/// What one or several walks through /proc found.
struct marked_processes {
  std::vector<marked_process> alive;    ///< Those of the run: `own` and `started`.
  std::vector<marked_process> foreign;  ///< Not judged, not ended.
  /// One of the run was seen and had ended a moment later: it may have started another.
  bool fleeting = false;
  /// Nothing was started or ended unseen while the walk lasted.
  bool whole = true;
  /// Which process could not be read, and why: it may be one of the run. Empty: all could.
  std::string unread;
  /// Own processes whose environment is too large to be searched whole, and that have no mark in
  /// what was searched, nor in their limits: "pid 4711 (name)".
  std::vector<std::string> too_large;
};

/// Which processes are looked for, and which of them may stay.
struct marked_search {
  std::string mark;
  std::vector<std::string> tolerated_names;  ///< Judged in each walk anew.
};

/// The processes of a run that are alive. This process and its ancestors are not among them, nor
/// are the readers of this process's output: see docs/cmake.md. That nothing is there is said only
/// after several whole walks in a row without any, since a process that starts another and ends may
/// be missed by one; or after two seconds of walks, where other processes come and go all the time.
/// Throws `std::system_error` if /proc cannot be read; one process that cannot be read is `unread`.
marked_processes find_marked(const marked_search& search);

/// Ends the processes of `attribution::own`, and whatever they start meanwhile: SIGTERM, SIGKILL
/// after `grace`. Returns those that are alive even after that, each with its `error`; what may not
/// be signalled is not waited for. `unread` is about the last walk.
marked_processes end_marked(const marked_search& search, std::chrono::milliseconds grace);

}  // namespace tidewait::command
