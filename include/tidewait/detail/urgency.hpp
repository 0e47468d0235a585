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
  switch (socket.state) {
    case socket_state::listen: return 0;
    case socket_state::bound:
    case socket_state::unconn: return 1;
    case socket_state::time_wait: return 3;
    default: return 2;
  }
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
