// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <vector>

#include <tidewait/detail/os.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether nobody in sight holds this listener, and a thread of ours may be what keeps it.
inline bool may_be_closed_under_accept(const observed_socket& socket) {
  return socket.state == socket_state::listen && socket.uid == user_id() &&
         (socket.owned == ownership::ownerless || socket.owned == ownership::hidden) &&
         listeners_closed_under_accept() != 0;
}

/// A listener that a thread of ours keeps: nobody else need be looked for.
inline void recognise_closed_listeners(std::vector<observed_socket>& sockets) {
  for (observed_socket& socket : sockets) {
    if (may_be_closed_under_accept(socket)) socket.owned = ownership::ownerless;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
