// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>

#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// For durations.
inline std::chrono::steady_clock::time_point steady_now() noexcept {
  return std::chrono::steady_clock::now();
}

/// Milliseconds since 1970.
inline std::uint64_t wall_clock() noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

/// When this machine was started, in milliseconds since 1970.
std::uint64_t boot_time() noexcept;

/// Microseconds since this machine was started, also while it slept; setting the clock does not
/// change it.
std::uint64_t uptime() noexcept;

void sleep_for(std::chrono::milliseconds time) noexcept;

/// Windows does not tell when a socket ends: time passes.
struct socket_end_monitor {
  explicit socket_end_monitor(protocol) noexcept {}
  bool hears() const noexcept { return false; }
  bool wait(std::uint16_t, std::chrono::milliseconds most) noexcept {
    sleep_for(most);
    return false;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
