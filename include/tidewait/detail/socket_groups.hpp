// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What a process keeps open on the port, as opposed to connections.
inline bool is_holder(const observed_socket& socket) noexcept {
  return socket.state == socket_state::listen || socket.state == socket_state::bound ||
         socket.state == socket_state::unconn;
}

/// Sockets that one sentence explains: of one kind, held by the same processes. The first stands
/// for all; its owners have the descriptors of all.
struct socket_group {
  observed_socket first;
  std::size_t count = 1;
};

/// Whether one sentence can explain both. Connections that somebody holds are alike in any state.
inline bool alike(const observed_socket& a, const observed_socket& b) noexcept {
  const bool held = !is_holder(a) && !is_holder(b) && !a.owners.empty() && !b.owners.empty();
  return a.protocol == b.protocol && (held || a.state == b.state) && a.owned == b.owned &&
         (a.uid == b.uid || held) &&
         std::equal(a.owners.begin(), a.owners.end(), b.owners.begin(), b.owners.end(),
                    [](const process& x, const process& y) { return x.pid == y.pid; });
}

inline std::vector<socket_group> grouped(const std::vector<observed_socket>& sockets) {
  std::vector<socket_group> groups;
  for (const observed_socket& socket : sockets) {
    if (socket.state == socket_state::time_wait) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const socket_group& group) {
      return alike(group.first, socket);
    });
    if (same == groups.end()) {
      groups.push_back({socket});
      continue;
    }
    ++same->count;
    for (std::size_t i = 0; i < socket.owners.size(); ++i) {
      std::vector<int>& fds = same->first.owners[i].fds;
      fds.insert(fds.end(), socket.owners[i].fds.begin(), socket.owners[i].fds.end());
    }
  }
  for (socket_group& group : groups) {
    for (process& owner : group.first.owners) std::sort(owner.fds.begin(), owner.fds.end());
  }
  return groups;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
