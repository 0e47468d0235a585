// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <optional>
#include <string>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait::command {

/// A call that the filter stops.
enum class stopped_call : std::uint8_t { bind, listen };

/// Where its arguments are: in registers, or for socketcall(2) of 32-bit x86 in a block of three
/// 32-bit numbers in the caller's memory.
struct call_arguments {
  stopped_call call = stopped_call::bind;
  bool in_memory = false;
  std::uint64_t block = 0;  ///< The address of that block.
  int fd = -1;              ///< Of arguments in registers, as are the two below.
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

/// What a stopped thread is about to call; nothing if the filter does not stop that.
std::optional<call_arguments> read_call(const seccomp_data& data) noexcept;

/// Whether a filter may be bought with no_new_privs (prctl(2)): setuid programs then run without
/// their rights, for good.
enum class no_new_privs : std::uint8_t { leave, set };

/// The step that was refused.
enum class filter_step : std::int32_t { installed, kernel, install, rights, hand_over };

/// Why there is no filter; empty for `installed`. A pure function.
gap explain_no_filter(filter_step step, int error);

/// Whether this kernel lets a supervisor continue calls (Linux 5.5): without that none is stopped.
bool kernel_can_witness() noexcept;

/// A line between a process and the child that installs the filter in itself. To be made before
/// fork(2): where it cannot be, `std::system_error` says so while nothing has happened yet.
class filter_line {
 public:
  filter_line();

  /// In the child, between fork and exec: stops bind(2) and listen(2) of this thread and of all
  /// that it starts, on whichever architecture the call is made, until the supervisor has answered;
  /// hands the supervisor's descriptor over. Async-signal-safe. After `hand_over` the child must
  /// not go on: the filter is in place, nobody could be told, and each bind would fail.
  filter_step install(no_new_privs privileges) noexcept;

  struct answer {
    detail::unique_fd listener;  ///< seccomp_unotify(2); none if there is no filter.
    filter_step step = filter_step::installed;
    int error = 0;
  };
  /// In the parent, after fork(2): waits for the child's answer. Throws `std::system_error` if the
  /// child ended without an answer (ECHILD), or if the answer cannot be received.
  answer receive();
  /// In the parent, after fork(2): can be read when the answer is there, or the child has ended.
  int parents_end() noexcept;

 private:
  detail::unique_fd ours_;
  detail::unique_fd theirs_;
  detail::unique_fd reserved_;  // the number that the descriptor to come will need
};

}  // namespace tidewait::command
