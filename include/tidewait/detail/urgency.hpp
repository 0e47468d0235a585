// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The order of a table for people: what blocks for good first, what passes by itself last.
inline int urgency(const observed_socket& socket) noexcept {
  if (socket.state == socket_state::listen) return 0;
  if ((socket_state::bound | socket_state::unconn).contains(socket.state)) return 1;
  return socket.state == socket_state::time_wait ? 3 : 2;
}

inline void sort_for_people(std::vector<observed_socket>& sockets) {
  std::sort(sockets.begin(), sockets.end(), [](const observed_socket& a, const observed_socket& b) {
    const int x = urgency(a);
    const int y = urgency(b);
    return std::tie(x, a.protocol, a.local, a.remote, a.cookie) <
           std::tie(y, b.protocol, b.local, b.remote, b.cookie);
  });
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
