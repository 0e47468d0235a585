// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/wait_until.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

/// Asks `is_so` until it says yes or the time has passed, and at least once. In between it waits
/// until a socket on that port ends, and for everything else with a pause that grows to `longest`.
template <typename IsSo>
bool ask_until(protocol which, std::uint16_t port, std::chrono::milliseconds timeout,
               std::chrono::milliseconds longest, IsSo&& is_so) {
  // No time is past the end of the clock, as `milliseconds::max()` would be.
  constexpr std::chrono::milliseconds none{0};
  constexpr std::chrono::milliseconds year = std::chrono::hours{24 * 365};
  const auto until = steady_now() + std::clamp(timeout, none, year);
  socket_end_monitor ends{which};  // from before the first question on, so that no end is missed
  std::chrono::milliseconds pause{1};
  for (;;) {
    if (is_so()) return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_now());
    if (left.count() <= 0) return false;
    ends.wait(port, std::min(pause, left));
    // Where no end is missed, what is left to ask for are TIME_WAITs that run out.
    pause = std::min(pause * 2,
                     ends.hears() ? longest : std::min(longest, std::chrono::milliseconds{50}));
  }
}

/// Whether time alone can change that answer to a bind.
inline bool passes(const std::error_code& answer) noexcept {
  return answer == std::errc::address_in_use || answer == std::errc::address_not_available;
}

/// `probe` asks the kernel for a bind; `explain` looks at all that is there.
template <typename Probe, typename Explain>
bind_explanation wait_for_bind(protocol which, std::uint16_t port,
                               std::chrono::milliseconds timeout, Probe&& probe,
                               Explain&& explain) {
  std::optional<bind_explanation> found;
  ask_until(which, port, timeout, std::chrono::milliseconds{250}, [&] {
    const std::error_code answer = probe();
    if (passes(answer)) return false;
    found = explain();
    if (!passes(found->why.outcome.plain)) return true;
    found.reset();  // somebody was faster
    return false;
  });
  return found ? std::move(*found) : explain();
}

}  // namespace detail

TIDEWAIT_INLINE bind_explanation wait_until_free(const bind_request& request,
                                                 std::chrono::milliseconds timeout) {
  return detail::wait_for_bind(
      request.protocol, request.local.port, timeout,
      [&] {
        std::error_code answer;
        detail::in_private_descriptor_table(
            [&] { detail::bind_socket(request, reuse::none, answer); });
        return answer;
      },
      [&] { return explain_bind(request); });
}

TIDEWAIT_INLINE bind_explanation wait_until_free(const endpoint& local,
                                                 std::chrono::milliseconds timeout) {
  return wait_until_free(bind_request{protocol::tcp, local}, timeout);
}

TIDEWAIT_INLINE bind_explanation wait_until_free(protocol which, std::uint16_t port,
                                                 std::chrono::milliseconds timeout) {
  return detail::wait_for_bind(
      which, port, timeout, [&] { return probe_port(which, port); },
      [&] { return explain_port(which, port); });
}

TIDEWAIT_INLINE std::vector<observed_socket> wait_until_listening(
    const bind_request& request, std::chrono::milliseconds timeout) {
  socket_query query;
  query.tcp = request.protocol == protocol::tcp;
  query.udp = !query.tcp;
  query.states = query.tcp ? state_set{socket_state::listen} : state_set{socket_state::unconn};
  query.ports = {request.local.port};
  std::vector<observed_socket> found;
  detail::ask_until(
      request.protocol, request.local.port, timeout, std::chrono::milliseconds{50}, [&] {
        query.owners = owner_reach::nobody;
        const auto serves = [&](const observed_socket& each) {
          return overlap(each.local, each.ipv6_only(), request.local, request.ipv6_only);
        };
        const auto there = socket_table::current(query).sockets;
        if (std::none_of(there.begin(), there.end(), serves)) return false;
        query.owners = owner_reach::until_found;
        for (observed_socket& each : socket_table::current(query).sockets) {
          if (serves(each)) found.push_back(std::move(each));
        }
        return !found.empty();
      });
  return found;
}

TIDEWAIT_INLINE std::vector<observed_socket> wait_until_listening(
    const endpoint& local, std::chrono::milliseconds timeout) {
  return wait_until_listening(bind_request{protocol::tcp, local}, timeout);
}

}  // namespace v0
}  // namespace tidewait
