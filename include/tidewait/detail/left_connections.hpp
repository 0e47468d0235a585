// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <system_error>
#include <vector>

#include <tidewait/detail/baseline.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The ports, outside the ephemeral range and without a server from before, on which this process
/// tree still has connections: each keeps the next server from its port. What clients have is on
/// ephemeral ports.
inline void add_own_connections(const baseline& before, const sightings& seen,
                                const std::vector<port_key>& served, std::vector<port_key>& ports) {
  socket_query query;
  query.udp = false;
  query.states = socket_state::established | socket_state::close_wait | socket_state::fin_wait2;
  std::vector<observed_socket> found = look_at_sockets(query).sockets;
  const port_range ephemeral = read_port_rules().ephemeral;
  const auto of_no_interest = [&](const observed_socket& socket) {
    return socket.inode == 0 || ephemeral.contains(socket.local.port) ||
           contains(served, key_of(socket)) || before.knows(socket, seen);
  };
  found.erase(std::remove_if(found.begin(), found.end(), of_no_interest), found.end());
  if (!found.empty()) find_owners(found, owner_reach::own_tree);
  for (const observed_socket& each : found) {
    if (!each.owners.empty()) add_port(ports, key_of(each));
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
