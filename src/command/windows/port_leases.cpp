// SPDX-License-Identifier: BSL-1.0
#include "../port_leases.hpp"

#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_calls.hpp>

namespace tidewait::command {
namespace {

process holder(int pid) {
  process found;
  found.pid = pid;
  if (pid != 0) found.name = detail::process_name(pid);
  return found;
}

}  // namespace

port_leases find_owners_and_leases(socket_table& table, const socket_query& query,
                                   detail::process_census& census) {
  detail::name_owners(table, query, &census);
  port_leases leases;
  // A lock is asked for by its name: there is no list of them.
  for (const observed_socket& socket : table.sockets) {
    const auto place = std::pair{socket.protocol, socket.local.port};
    if (leases.count(place) != 0) continue;
    if (const auto pid = detail::lock_holder(place.first, place.second))
      leases.emplace(place, holder(*pid));
  }
  return leases;
}

port_leases lease_of(protocol which, std::uint16_t port) {
  port_leases leases;
  if (const auto pid = detail::lock_holder(which, port))
    leases.emplace(std::pair{which, port}, holder(*pid));
  return leases;
}

}  // namespace tidewait::command
