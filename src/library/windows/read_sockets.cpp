// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <cstring>
#include <map>

#include <tidewait/detail/windows/read_sockets.hpp>

#include "processes.hpp"
#include "system.hpp"
// clang-format off: after winsock2.h
#include <iphlpapi.h>
// clang-format on

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

/// A hash of what names a socket (FNV-1a).
class socket_name {
 public:
  void add(std::uint64_t value) noexcept {
    for (int i = 0; i < 8; ++i, value >>= 8U) hash_ = (hash_ ^ (value & 0xffU)) * 1099511628211ULL;
  }
  void add(const endpoint& value) noexcept {
    for (const std::uint8_t byte : value.address.bytes()) add(byte);
    add(value.address.scope_id());
    add(value.address.is_v6() ? 1 : 0);
    add(value.port);
  }
  /// Not 0, which means unknown, and without the two highest bits, which mark other kinds of names.
  std::uint64_t value() const noexcept { return (hash_ >> 2U) | 1U; }

 private:
  std::uint64_t hash_ = 14695981039346656037ULL;
};

std::uint16_t port_of(DWORD in_network_order) noexcept {
  return ::ntohs(static_cast<u_short>(in_network_order));
}

ip_address address_of(DWORD in_network_order) noexcept {
  ip_address::v4_bytes bytes{};
  std::memcpy(bytes.data(), &in_network_order, bytes.size());
  return ip_address{bytes};
}

ip_address address_of(const UCHAR (&in_network_order)[16], DWORD scope_id) noexcept {
  ip_address::v6_bytes bytes{};
  std::memcpy(bytes.data(), in_network_order, bytes.size());
  return ip_address{bytes, scope_id};
}

/// A state of the table in our numbering; nothing for one that is about to be deleted.
std::optional<socket_state> state_of(DWORD state) noexcept {
  switch (state) {
    case MIB_TCP_STATE_LISTEN: return socket_state::listen;
    case MIB_TCP_STATE_SYN_SENT: return socket_state::syn_sent;
    case MIB_TCP_STATE_SYN_RCVD: return socket_state::syn_recv;
    case MIB_TCP_STATE_ESTAB: return socket_state::established;
    case MIB_TCP_STATE_FIN_WAIT1: return socket_state::fin_wait1;
    case MIB_TCP_STATE_FIN_WAIT2: return socket_state::fin_wait2;
    case MIB_TCP_STATE_CLOSE_WAIT: return socket_state::close_wait;
    case MIB_TCP_STATE_CLOSING: return socket_state::closing;
    case MIB_TCP_STATE_LAST_ACK: return socket_state::last_ack;
    case MIB_TCP_STATE_TIME_WAIT: return socket_state::time_wait;
    default: return std::nullopt;
  }
}

/// The rows of a table, read by `ask(buffer, size)` until it fits: it grows while it is read.
template <typename Table, typename Ask>
DWORD read_table(std::vector<std::uint64_t>& buffer, const Table*& table, Ask ask) {
  DWORD answer = ERROR_INSUFFICIENT_BUFFER;
  buffer.resize(std::max<std::size_t>(buffer.size(), 4096));
  // Wine answers "not enough memory" where the table grew while it was copied.
  const auto has_grown = [&] {
    return answer == ERROR_INSUFFICIENT_BUFFER || answer == ERROR_NOT_ENOUGH_MEMORY;
  };
  for (int tries = 0; has_grown() && tries < 16; ++tries) {
    auto size = static_cast<ULONG>(buffer.size() * sizeof buffer.front());
    answer = ask(buffer.data(), &size);
    if (answer == ERROR_INSUFFICIENT_BUFFER) {
      // A quarter more than was wanted, and at least twice what there was.
      buffer.resize(std::max<std::size_t>(size + size / 4, size) / sizeof buffer.front() +
                    buffer.size());
    }
  }
  table = reinterpret_cast<const Table*>(buffer.data());
  return answer;
}

/// Reads the tables, one after the other, into a list of sockets.
class table_reader {
 public:
  table_reader(const socket_query& query, std::vector<observed_socket>& sockets)
      : query_{query}, sockets_{sockets} {}

  std::error_code read_tcp() {
    DWORD answer = read_tcp<MIB_TCPTABLE_OWNER_MODULE>(AF_INET);
    if (answer == NO_ERROR) answer = read_tcp<MIB_TCP6TABLE_OWNER_MODULE>(AF_INET6);
    return error_of(answer);
  }

  std::error_code read_udp() {
    DWORD answer = read_udp<MIB_UDPTABLE_OWNER_MODULE>(AF_INET);
    if (answer == NO_ERROR) answer = read_udp<MIB_UDP6TABLE_OWNER_MODULE>(AF_INET6);
    return error_of(answer);
  }

 private:
  // Rows of IPv4 and of IPv6 differ in the names of their members.
  template <typename Row>
  static auto local_of(const Row& row) noexcept -> decltype(row.dwLocalAddr, endpoint{}) {
    return {address_of(row.dwLocalAddr), port_of(row.dwLocalPort)};
  }
  template <typename Row>
  static auto local_of(const Row& row) noexcept -> decltype(row.ucLocalAddr, endpoint{}) {
    return {address_of(row.ucLocalAddr, row.dwLocalScopeId), port_of(row.dwLocalPort)};
  }
  template <typename Row>
  static auto remote_of(const Row& row) noexcept -> decltype(row.dwRemoteAddr, endpoint{}) {
    return {address_of(row.dwRemoteAddr), port_of(row.dwRemotePort)};
  }
  template <typename Row>
  static auto remote_of(const Row& row) noexcept -> decltype(row.ucRemoteAddr, endpoint{}) {
    return {address_of(row.ucRemoteAddr, row.dwRemoteScopeId), port_of(row.dwRemotePort)};
  }

  template <typename Table>
  DWORD read_tcp(ULONG family) {
    const Table* table = nullptr;
    const DWORD answer = read_table(buffer_, table, [&](void* place, ULONG* size) {
      return ::GetExtendedTcpTable(place, size, FALSE, family, TCP_TABLE_OWNER_MODULE_ALL, 0);
    });
    if (answer != NO_ERROR) return answer;
    for (DWORD i = 0; i < table->dwNumEntries; ++i) {
      const auto& row = table->table[i];
      const auto state = state_of(row.dwState);
      if (!state) continue;
      const bool listens = *state == socket_state::listen;
      add(protocol::tcp, *state, local_of(row), listens ? endpoint{} : remote_of(row),
          row.dwOwningPid, row.liCreateTimestamp.QuadPart);
    }
    return NO_ERROR;
  }

  template <typename Table>
  DWORD read_udp(ULONG family) {
    const Table* table = nullptr;
    const DWORD answer = read_table(buffer_, table, [&](void* place, ULONG* size) {
      return ::GetExtendedUdpTable(place, size, FALSE, family, UDP_TABLE_OWNER_MODULE, 0);
    });
    if (answer != NO_ERROR) return answer;
    for (DWORD i = 0; i < table->dwNumEntries; ++i) {
      const auto& row = table->table[i];
      add(protocol::udp, socket_state::unconn, local_of(row), {}, row.dwOwningPid,
          row.liCreateTimestamp.QuadPart);
    }
    return NO_ERROR;
  }

  void add(protocol which, socket_state state, const endpoint& local, const endpoint& remote,
           DWORD pid, std::int64_t created) {
    if (!query_.states.contains(state)) return;
    if (!query_.ports.empty() &&
        !std::binary_search(query_.ports.begin(), query_.ports.end(), local.port)) {
      return;
    }
    observed_socket socket;
    socket.protocol = which;
    socket.state = state;
    socket.local = local;
    socket.remote = remote;
    const auto made = static_cast<std::uint64_t>(created);
    const process_life life = pid == 0 ? process_life{} : known_life(pid);
    socket.inode = may_hold_since(pid, life, made) ? pid : 0;
    socket_name name;
    name.add(which == protocol::tcp ? 6 : 17);
    name.add(local);
    name.add(remote);
    // A connection stays the same while it closes, and then it has neither.
    if (remote.port == 0) {
      name.add(pid);
      name.add(made != 0 ? made : life.start);
    }
    socket.cookie = name.value();
    sockets_.push_back(std::move(socket));
  }

  const process_life& known_life(DWORD pid) {
    const auto known = lives_.find(pid);
    return known != lives_.end() ? known->second : lives_.emplace(pid, life_of(pid)).first->second;
  }

  const socket_query& query_;
  std::vector<observed_socket>& sockets_;
  std::vector<std::uint64_t> buffer_;
  std::map<DWORD, process_life> lives_;
};

}  // namespace

void read_sockets(const socket_query& query, std::vector<observed_socket>& sockets,
                  visibility& seen) {
  table_reader reader{query, sockets};
  const auto note = [&](table_source& source, const std::error_code& error) {
    source = error ? table_source::nothing : table_source::ip_helper;
    if (error) seen.ip_helper_error = error;
  };
  if (query.tcp && !(query.states - socket_state::unconn).empty())
    note(seen.tcp, reader.read_tcp());
  if (query.udp && query.states.contains(socket_state::unconn)) note(seen.udp, reader.read_udp());
}

std::optional<std::uint32_t> time_waits() {
  socket_query query;
  query.udp = false;
  query.states = socket_state::time_wait;
  std::vector<observed_socket> sockets;
  visibility seen;
  read_sockets(query, sockets, seen);
  if (seen.blind()) return std::nullopt;
  return static_cast<std::uint32_t>(sockets.size());
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
