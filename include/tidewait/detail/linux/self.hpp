// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <cstdint>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// This process, and the user for whom it acts.
inline int process_id() noexcept { return ::getpid(); }
inline std::uint32_t user_id() noexcept { return ::geteuid(); }

/// A name for the calling thread that no other thread has while it runs, the same in each copy of
/// tidewait (see `meeting_point`).
inline const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(::pthread_self());
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
