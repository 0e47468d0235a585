// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/unix_entry.hpp>

#include "port_leases.hpp"

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

}  // namespace tidewait::command
