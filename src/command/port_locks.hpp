// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait::command {

/// The lock of a leased port, as the kernel lists it: a listening abstract Unix socket. `inode` is
/// 0 if it cannot be told which of several sockets it is.
struct port_lock {
  tidewait::protocol protocol = protocol::tcp;
  std::uint16_t port = 0;
  std::uint32_t inode = 0;
};

/// Those of the sockets that are locks.
std::vector<port_lock> port_locks_among(const std::vector<unix_entry>& listeners);

/// Reads the text of /proc/net/unix (proc(5)); what is no port's lock is passed over. Anybody can
/// put a line of his own into it by a name with a line end: of two lines for one port, or with one
/// inode, none is believed to say whose the lock is.
std::vector<port_lock> parse_port_locks(std::string_view text);

/// The locks of this network namespace, as sock_diag(7) has them; a step down that the user is
/// told, as /proc/net/unix has them.
std::vector<port_lock> read_port_locks();

/// Who leased each port: the process that holds its lock. A port whose holder cannot be seen has a
/// `process` with pid 0.
using port_leases = std::map<std::pair<protocol, std::uint16_t>, process>;

/// Names the holders of the sockets in `table`, and those of the locks of their ports, in one walk
/// over the processes. Nobody is asked through the lock itself: that would leave an entry in its
/// backlog. `census` may have begun before the table was read.
port_leases find_owners_and_leases(socket_table& table, const socket_query& query,
                                   detail::process_census& census);

/// The same for one port alone: one lease or none.
port_leases lease_of(protocol which, std::uint16_t port);

}  // namespace tidewait::command
