// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <type_traits>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether no other thread can fork() while we look. Where the C library does not say: no.
inline bool single_threaded() noexcept {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

/// Gives the calling thread a descriptor table of its own, without the descriptors from 3 on
/// (close_range(2), Linux 5.9; unshare(2) before that). False where neither is permitted.
inline bool leave_descriptor_table() noexcept {
#ifdef SYS_close_range
  constexpr unsigned close_range_unshare = 1U << 1U;
  if (::syscall(SYS_close_range, 3U, ~0U, close_range_unshare) == 0) return true;
#endif
  return ::unshare(CLONE_FILES) == 0;
}

/// Runs `work`, which opens and closes descriptors of its own only, such that a fork() in another
/// thread never copies one of them: a copy of a bound socket lives until the child's exec, and
/// until then the port is taken. (CLOEXEC does not help: it acts at exec.) In a process with more
/// than one thread the work is done by a helper thread with a descriptor table of its own; its
/// signals are blocked, so that no handler of the program runs there. `work` must not throw.
template <typename Work>
void in_private_descriptor_table(Work&& work) {
  if (single_threaded()) {
    work();
    return;
  }
  using callable = std::remove_reference_t<Work>;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t helper;
  const int refused = ::pthread_create(
      &helper, nullptr,
      [](void* argument) -> void* {
        in_own_descriptor_table = leave_descriptor_table();
        (*static_cast<callable*>(argument))();
        return nullptr;
      },
      const_cast<void*>(static_cast<const volatile void*>(&work)));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (refused != 0) {
    work();  // no thread to be had: look all the same
    return;
  }
  ::pthread_join(helper, nullptr);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
