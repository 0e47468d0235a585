// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Has `prepare` run before each fork() of this process, then `parent` and `child` on either side
/// (pthread_atfork(3)). For good: call it once.
inline void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept {
  ::pthread_atfork(prepare, parent, child);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
