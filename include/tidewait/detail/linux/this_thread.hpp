// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A name for the calling thread that no other thread has while it runs, the same in each copy of
/// tidewait (see `meeting_point`).
inline const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(::pthread_self());
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
