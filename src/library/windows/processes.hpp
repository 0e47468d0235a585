// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <vector>

#include <tidewait/detail/windows/job_process.hpp>
#include <tidewait/detail/windows/native_handle.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// When a process was started, in units of 100 ns since 1601; 0 if it cannot be seen.
std::uint64_t start_of_process(std::uint32_t pid) noexcept;

/// What the number of a process tells of it.
struct process_life {
  bool over = false;        ///< It has ended, or no process has that number.
  std::uint64_t start = 0;  ///< As `start_of_process`.
};
process_life life_of(std::uint32_t pid) noexcept;

/// Whether a process may hold the socket that the process of this number made, at a time in the
/// units of `start_of_process` (0: not known). If that has ended, or the number is another's now, a
/// child has inherited the socket, and the table still names the number.
bool may_hold_since(std::uint32_t pid, const process_life& life, std::uint64_t made) noexcept;

/// Who started a process; 0 if that is not known or has ended.
int parent_of(int pid);

/// This process, what started it, and so on. A parent whose start cannot be seen counts as one.
std::vector<int> own_line();

/// The processes of a job; the hosts of their consoles, which the system starts, are not among
/// them. One whose name cannot be seen, because it ends as others are started, is called "?".
/// Throws `std::system_error`.
std::vector<running_process> processes_in(native_handle job);

/// From now on what runs in the job belongs to this process, also where the parent has ended. The
/// job must stay.
void adopt(native_handle job) noexcept;

/// Ends a process of a job at once, and waits until it has ended. One that is not in the job, as
/// where its pid was given to another process, is left alone.
void end_process(native_handle job, int pid) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
