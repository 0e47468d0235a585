// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/port_key.hpp>
#include <tidewait/detail/sightings.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bool is_of(bound_kind kind, protocol which) noexcept {
  return kind == (which == protocol::tcp ? bound_kind::tcp : bound_kind::udp);
}

/// Whether the record is of this socket: by the cookie, which a listener, a bound socket and one of
/// UDP keep; a connection, and what the kernel keeps of it, has the port of its listener.
inline bool names(const bind_record& record, const observed_socket& socket) noexcept {
  if (record.error || !record.got || !is_of(record.kind, socket.protocol)) return false;
  if (record.cookie != 0 && record.cookie == socket.cookie) return true;
  const bool own_cookie = socket.protocol == protocol::udp ||
                          socket.state == socket_state::listen ||
                          socket.state == socket_state::bound;
  if (own_cookie && record.cookie != 0 && socket.cookie != 0) return false;
  return record.got->port == socket.local.port &&
         overlap(*record.got, record.ipv6_only, socket.local, socket.ipv6_only());
}

/// The binds that belong to a test.
struct witnessed_binds {
  std::vector<std::shared_ptr<const bind_record>> records{};  ///< Oldest first.
  std::uint64_t missing = 0;                                  ///< How many the log holds no more.

  /// The latest that names the socket; null if none does.
  std::shared_ptr<const bind_record> of(const observed_socket& socket) const {
    const auto found = std::find_if(records.rbegin(), records.rend(),
                                    [&](const auto& each) { return names(*each, socket); });
    return found == records.rend() ? nullptr : *found;
  }
};

/// What was witnessed since that position in this network namespace. `mine_alone`: tests run on
/// other threads, too, so only what this thread did is this test's.
inline witnessed_binds binds_since(const bind_log& log, std::uint64_t position,
                                   const std::string& test, bool mine_alone) {
  witnessed_binds binds;
  if (log.position() == position) return binds;
  std::vector<bind_record> records = log.since(position, binds.missing);
  const std::uint64_t here = current_net_cookie();
  for (bind_record& each : records) {
    if (each.net_cookie != 0 && here != 0 && each.net_cookie != here) continue;
    if (mine_alone && each.thread != thread_number()) continue;
    each.test = test;
    binds.records.push_back(std::make_shared<const bind_record>(std::move(each)));
  }
  return binds;
}

/// Names the code that bound what was left, each bind once.
inline void name_code(std::vector<observed_socket>& left) {
  std::map<std::shared_ptr<const bind_record>, std::shared_ptr<const bind_record>> named;
  for (observed_socket& each : left) {
    if (!each.bound) continue;
    std::shared_ptr<const bind_record>& known = named[each.bound];
    if (!known) {
      bind_record record = *each.bound;
      name_places(record);
      known = std::make_shared<const bind_record>(std::move(record));
    }
    each.bound = known;
  }
}

/// Notes the ports that these binds got as this test's, and adds those of TCP.
inline void note_ports(const witnessed_binds& binds, const std::string& test, sightings& seen,
                       std::vector<std::uint16_t>& tcp) {
  for (const auto& each : binds.records) {
    if (each->error || !each->got) continue;
    const std::uint16_t port = each->got->port;
    if (each->kind == bound_kind::udp) seen.note_bound_by({protocol::udp, port}, test);
    if (each->kind != bound_kind::tcp) continue;
    seen.note_bound_by({protocol::tcp, port}, test);
    if (std::find(tcp.begin(), tcp.end(), port) == tcp.end()) tcp.push_back(port);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
