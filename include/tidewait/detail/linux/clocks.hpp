// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <time.h>

#include <cerrno>
#include <chrono>
#include <cstdint>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::uint64_t nanoseconds_of(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// For durations.
inline std::chrono::steady_clock::time_point steady_now() noexcept {
  return std::chrono::steady_clock::now();
}

/// Milliseconds since 1970.
inline std::uint64_t wall_clock() noexcept { return nanoseconds_of(CLOCK_REALTIME) / 1000000U; }

/// When this machine was started, in milliseconds since 1970: cookies begin anew.
inline std::uint64_t boot_time() noexcept {
  const std::uint64_t up = nanoseconds_of(CLOCK_BOOTTIME);
  return (nanoseconds_of(CLOCK_REALTIME) - up) / 1000000U;
}

/// Microseconds since this machine was started, also while it slept; setting the clock does not
/// change it.
inline std::uint64_t uptime() noexcept { return nanoseconds_of(CLOCK_BOOTTIME) / 1000U; }

/// Sleeps that long, also across signals.
inline void sleep_for(std::chrono::milliseconds time) noexcept {
  timespec left{static_cast<time_t>(time.count() / 1000),
                static_cast<long>(time.count() % 1000 * 1000000)};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
