// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/look_depth.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/port_key.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What names a socket for good: its cookie; where only /proc/net was there, its inode; of a socket
/// that has neither (TIME_WAIT in /proc/net), its endpoints.
inline std::uint64_t identity(const observed_socket& socket) noexcept {
  constexpr std::uint64_t by_inode = 1ULL << 63U;
  constexpr std::uint64_t by_endpoints = 1ULL << 62U;
  if (socket.cookie != 0) return socket.cookie;
  if (socket.inode != 0) return by_inode | socket.inode;
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  const auto mix = [&hash](std::uint64_t byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (const endpoint* each : {&socket.local, &socket.remote}) {
    for (const std::uint8_t byte : each->address.bytes()) mix(byte);
    mix(each->port & 0xffU);
    mix(each->port >> 8U);
  }
  return by_endpoints | (hash >> 2U);
}

/// What a program keeps open on a port: TCP listeners (bound ones, too, if asked for), and UDP
/// sockets that are not connected.
inline socket_query open_ports_query(look_depth depth) {
  socket_query query;
  query.states = socket_state::listen | socket_state::unconn;
  if (depth == look_depth::thorough) query.states = query.states | socket_state::bound;
  return query;
}

/// Whether the kernel refuses a bind of the whole port. `try_whole_port` has another answer where a
/// TIME_WAIT in the table of Windows is enough for it.
inline bool is_bind_refused(const port_key& port) {
  std::error_code error;
  in_private_descriptor_table(
      [&] { bind_whole_port(port.protocol, port.port, reuse::none, error); });
  return static_cast<bool>(error);
}

/// The kernel's answer for each port that a look asks about.
struct port_probes {
  std::vector<lease_note> clean{};
  std::vector<lease_note> busy{};
  std::vector<port_key> own_busy{};  ///< Ports that are not leased, and not known to be free.
  std::error_code blind{};           ///< A leased port of which the kernel said neither.
};

/// Asks about leases and other TCP ports at once, since a process with threads does it in a helper
/// thread. A bind is answered in some 8 µs; of more ports than `most_probed` the table is asked.
inline port_probes probe_ports(const std::vector<lease_note>& leases,
                               const std::vector<std::uint16_t>& others) {
  port_probes probes;
  constexpr std::size_t most_probed = 64;
  const std::size_t probed = others.size() > most_probed ? 0 : others.size();
  if (probed == 0) {
    for (const std::uint16_t port : others) probes.own_busy.push_back({protocol::tcp, port});
  }
  if (leases.empty() && probed == 0) return probes;
  std::vector<std::error_code> answers(leases.size());
  std::vector<char> taken(probed);
  const std::uint64_t here = leases.empty() ? 0 : current_net_namespace();
  in_private_descriptor_table([&] {
    for (std::size_t i = 0; i < probed; ++i)
      taken[i] = try_whole_port(protocol::tcp, others[i]) ? 1 : 0;
    for (std::size_t i = 0; i < leases.size(); ++i) {
      if (leases[i].net_namespace != here) answers[i] = errc::other_namespace;
      for (const protocol which : {protocol::tcp, protocol::udp}) {
        if (!includes(leases[i].kind, which) || answers[i]) continue;
        answers[i] = try_whole_port(which, leases[i].port);
      }
    }
  });
  for (std::size_t i = 0; i < leases.size(); ++i) {
    const bool busy = answers[i] == std::errc::address_in_use;
    if (answers[i] && !busy) probes.blind = answers[i];
    (busy ? probes.busy : probes.clean).push_back(leases[i]);
  }
  for (std::size_t i = 0; i < probed; ++i) {
    if (taken[i] != 0) probes.own_busy.push_back({protocol::tcp, others[i]});
  }
  return probes;
}

/// The sockets of all states on some ports.
inline socket_query ports_query(const std::vector<port_key>& ports) {
  socket_query query;
  query.tcp = false;
  query.udp = false;
  for (const port_key& each : ports) {
    (each.protocol == protocol::tcp ? query.tcp : query.udp) = true;
    query.ports.push_back(each.port);
  }
  return query;
}

inline std::vector<port_key> ports_of(const std::vector<lease_note>& leases) {
  std::vector<port_key> ports;
  for (const lease_note& each : leases) {
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      if (includes(each.kind, which)) add_port(ports, {which, each.port});
    }
  }
  return ports;
}

inline bool has_lease(const std::vector<lease_note>& leases, const port_key& port) noexcept {
  return std::any_of(leases.begin(), leases.end(), [&](const lease_note& each) {
    return each.port == port.port && includes(each.kind, port.protocol);
  });
}

/// Of the ports on which this process tree has listened, those that a bind has to be asked about:
/// neither leased nor served.
inline std::vector<std::uint16_t> only_own(std::vector<std::uint16_t> own,
                                           const std::vector<lease_note>& leases,
                                           const std::vector<port_key>& served) {
  const auto asked_otherwise = [&](std::uint16_t port) {
    const port_key key{protocol::tcp, port};
    return has_lease(leases, key) || contains(served, key);
  };
  own.erase(std::remove_if(own.begin(), own.end(), asked_otherwise), own.end());
  return own;
}

/// Of the leases, those whose ports a bind has to be asked about. A listener that was there before
/// says enough of its TCP port, whatever its connections do meanwhile.
inline std::vector<lease_note> only_unserved(std::vector<lease_note> leases,
                                             const std::vector<port_key>& served,
                                             std::uint64_t net_namespace) {
  const auto is_served = [&](const lease_note& lease) {
    return lease.kind == protocol_set::tcp && lease.net_namespace == net_namespace &&
           contains(served, {protocol::tcp, lease.port});
  };
  leases.erase(std::remove_if(leases.begin(), leases.end(), is_served), leases.end());
  return leases;
}

/// Notes those of the listeners that are this process tree's. One is looked up once in the life of
/// the process.
inline void find_own_listeners(shared_state& shared, const std::vector<observed_socket>& sockets,
                               const std::string& test) {
  std::vector<observed_socket> unknown;
  for (const observed_socket& socket : sockets) {
    if (socket.state == socket_state::listen && shared.seen.first_seen(identity(socket)))
      unknown.push_back(socket);
  }
  if (unknown.empty()) return;
  find_owners(unknown, owner_reach::own_tree);
  std::vector<observed_socket> open;
  for (observed_socket& socket : unknown) {
    if (socket.owners.empty()) continue;
    shared.seen.note_own_listener(socket.local.port);
    // What an earlier test left is not this one's.
    if (!shared.seen.is_handled(identity(socket))) open.push_back(std::move(socket));
  }
  // Who opened what was there before: whatever is around the test, or a test on another thread.
  const std::string around = current_test(shared);
  if (!shared.watches.any_on_other_thread())
    write_journal(shared, journal_event::listening, open, around.empty() ? test : around);
}

/// What there is before a test: not its fault.
struct baseline {
  int pid = 0;
  std::uint64_t net_namespace = 0;
  bool private_namespace = false;  ///< Made for this test: everything in it is the test's.
  look_depth depth = look_depth::quick;
  std::chrono::steady_clock::time_point since{};
  std::vector<std::uint64_t> known{};  ///< Identities of the sockets, sorted.
  std::vector<port_key> served{};      ///< TCP ports with a listener.
  std::uint64_t binds_from = 0;        ///< Where the log of witnessed binds ended.
  gap blind{};                         ///< Why it could not look; empty if it could.
  /// Another thread is in a test, too: of what the process holds, only leased ports can be told
  /// apart.
  bool threads = false;

  /// Whether it was there before, or no look has to judge it again.
  bool knows(const observed_socket& socket, const sightings& seen) const {
    return std::binary_search(known.begin(), known.end(), identity(socket)) ||
           seen.is_handled(identity(socket));
  }
};

/// Every TIME_WAIT of the namespace. Where there are any, the kernel walks its whole table for them
/// (about 0.3 ms each for IPv4 and IPv6).
inline std::vector<observed_socket> all_time_waits() {
  if (time_wait_count() == 0U) return {};
  socket_query query;
  query.udp = false;
  query.states = socket_state::time_wait;
  return look_at_sockets(query).sockets;
}

inline baseline take_baseline(shared_state& shared, look_depth depth, const std::string& test) {
  renew_run_mark();  // before the test starts a process that may outlive it
  baseline before;
  before.pid = process_id();
  before.net_namespace = current_net_namespace();
  before.private_namespace = in_private_net_namespace();
  before.depth = depth;
  before.since = steady_now();
  before.binds_from = shared.binds.position();
  const socket_table table = look_at_sockets(open_ports_query(depth));
  if (table.seen.blind()) {
    before.blind = merged(gaps(table.seen));
    return before;
  }
  for (const observed_socket& socket : table.sockets) {
    before.known.push_back(identity(socket));
    if (socket.state == socket_state::listen) add_port(before.served, key_of(socket));
  }
  find_own_listeners(shared, table.sockets, test);
  // On the port of an older lease, or of a server that has ended, there may be sockets of any
  // state. Their cookies say exactly what was there; a TIME_WAIT's age only to some 10 ms.
  const std::vector<lease_note> leases = shared.leases.to_judge();
  const port_probes probes = probe_ports(only_unserved(leases, before.served, before.net_namespace),
                                         only_own(shared.seen.own_ports(), leases, before.served));
  std::vector<port_key> busy = ports_of(probes.busy);
  for (const port_key& port : probes.own_busy) add_port(busy, port);
  if (!busy.empty()) {
    const socket_table more = look_at_sockets(ports_query(busy));
    for (const observed_socket& socket : more.sockets) before.known.push_back(identity(socket));
  }
  if (before.private_namespace) {
    for (const observed_socket& socket : all_time_waits()) before.known.push_back(identity(socket));
  }
  std::sort(before.known.begin(), before.known.end());
  return before;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
