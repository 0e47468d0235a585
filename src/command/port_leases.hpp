// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include <tidewait/endpoint.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {
class process_census;
}  // namespace detail
}  // namespace v0
}  // namespace tidewait

namespace tidewait::command {

/// Who leased each port: the process that holds its lock. A port whose holder cannot be seen has a
/// `process` with pid 0.
using port_leases = std::map<std::pair<protocol, std::uint16_t>, process>;

/// Names the holders of the sockets in `table`, and those of the locks of their ports, in one walk
/// over the processes. `census` may have begun before the table was read.
port_leases find_owners_and_leases(socket_table& table, const socket_query& query,
                                   detail::process_census& census);

/// The same for one port alone: one lease or none.
port_leases lease_of(protocol which, std::uint16_t port);

}  // namespace tidewait::command
