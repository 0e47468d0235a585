// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

namespace tidewait {
inline namespace v0 {
namespace detail {

// Like all of this backend: declared here, and defined in src/library/windows/, the only place that
// includes the system's headers. So no macro of theirs reaches a user.

/// This process. Users are told apart by no socket table of Windows: all are user 0.
int process_id() noexcept;
inline std::uint32_t user_id() noexcept { return 0; }
inline bool may_trace_others() noexcept { return false; }

/// The name of this machine, and one of the time since it was started: empty, since Windows has
/// none. Each is sanitised.
const std::string& host_name();
inline std::string boot_id() { return {}; }

/// The name of this program's file; empty if it is not known.
const std::string& program_name();

/// A name for the calling thread that no other thread has while it runs, the same in each copy of
/// tidewait (see `meeting_point`).
const void* this_thread() noexcept;

/// The value of one of our environment variables, in UTF-8; null if it is not set. It stays valid.
const char* environment(const char* name) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
