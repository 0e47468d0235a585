// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The sockets that a query asks for, by GetExtendedTcpTable and GetExtendedUdpTable. A listener or
/// a UDP socket is known by its endpoints, its process and when it was made, a connection by its
/// endpoints: `cookie` is a hash of these. `inode` is the pid of the holder, 0 if that has ended.
void read_sockets(const socket_query& query, std::vector<observed_socket>& sockets,
                  visibility& seen);

/// Whether a table has the queues of a socket and its user: no.
inline constexpr bool tables_have_queues = false;
inline constexpr bool tables_have_users = false;

/// How many TIME_WAIT sockets there are; nothing if the table cannot be read.
std::optional<std::uint32_t> time_waits();

class process_census {};

/// Names the holders of these sockets: the table has their pids.
void find_owners(std::vector<observed_socket>& sockets, owner_reach reach, visibility& seen,
                 process_census* census = nullptr);
inline void find_owners(std::vector<observed_socket>& sockets, owner_reach reach) {
  visibility unused;
  find_owners(sockets, reach, unused);
}

/// On Windows nothing keeps a socket that no process holds.
inline void find_keepers(std::vector<observed_socket>&) noexcept {}

/// Completes what is known of the processes that hold these sockets: the services that they run.
void describe_holders(std::vector<observed_socket>& sockets);
/// Whether this user may see which processes run services.
bool services_are_visible();

// What else may keep a bind or a client out: a firewall hinders no bind, and the loopback interface
// is always up.
inline std::vector<std::string> read_restrictions() { return {}; }
inline bool an_interface_has(const ip_address&) noexcept { return false; }
inline bind_right right_to_low_ports() noexcept { return bind_right::grantable; }
inline bool loopback_is_down() noexcept { return false; }
/// No table tells on which ports groups are joined, and some always are.
inline bool multicast_joined(std::uint16_t) noexcept { return true; }

/// What a process is called, valid UTF-8; empty if it cannot be seen.
std::string process_name(int pid);

/// Outgoing connections and bind(0) use 49152-65535, the documented default. An administrator may
/// have changed that, which only netsh tells. It is asked once in a process, and only where the
/// system gives a bind(0) over TCP a port outside the default: a look starts no program otherwise.
port_rules read_port_rules();

/// What netsh tells of these for one protocol, and the ranges that Hyper-V and WinNAT exclude: a
/// bind there fails with WSAEACCES. The first call starts programs; where they tell nothing, it is
/// the defaults.
port_rules look_up_port_rules(protocol which, const ip_address& address);

// There is one network.
inline std::uint64_t current_net_namespace() noexcept { return 1; }
inline std::uint64_t current_net_cookie() noexcept { return 1; }
template <typename Handle>
std::uint64_t net_cookie(const Handle&) noexcept {
  return 1;
}
inline bool in_private_net_namespace() noexcept { return false; }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
