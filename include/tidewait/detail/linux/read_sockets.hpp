// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/detail/linux/kernel_features.hpp>
#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/sock_diag.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The sockets of one protocol from /proc/net. tcp6 and udp6 are absent where IPv6 is off.
inline std::error_code read_proc_net(const socket_query& query, protocol which,
                                     std::vector<observed_socket>& sockets, visibility& seen) {
  const bool tcp = which == protocol::tcp;
  std::string text;
  for (const char* file : {tcp ? "thread-self/net/tcp" : "thread-self/net/udp",
                           tcp ? "thread-self/net/tcp6" : "thread-self/net/udp6"}) {
    const auto error = read_file(AT_FDCWD, proc_path(file).c_str(), text);
    if (error == std::errc::no_such_file_or_directory && std::string_view{file}.back() == '6')
      break;
    if (error) return error;
    parse_proc_net(text, which, sockets, seen.unread_lines, [&](const socket_entry& entry) {
      return query.states.contains(entry.state) &&
             (query.ports.empty() ||
              std::binary_search(query.ports.begin(), query.ports.end(), entry.local.port));
    });
  }
  return {};
}

/// The sockets of one protocol, from sock_diag or, where that is refused, from /proc/net.
inline table_source read_protocol(sock_diag* diag, const socket_query& query, protocol which,
                                  std::vector<observed_socket>& sockets, visibility& seen) {
  const std::size_t before = sockets.size();
  if (diag != nullptr) {
    std::error_code refused;
    for (const int family : {AF_INET, AF_INET6}) {
      bool torn = false;
      dump_question question{which, family, query.states,
                             query.ports.empty() ? nullptr : &query.ports};
      refused = diag->dump(question, sockets, torn);
      seen.torn = seen.torn || torn;
      const bool no_ipv6 =
          family == AF_INET6 && (refused == std::errc::no_such_file_or_directory ||
                                 refused == std::errc::address_family_not_supported);
      if (no_ipv6) refused.clear();
      if (refused) break;
    }
    if (!refused) {
      // The port filter is the kernel's where it fits into a program, and ours in any case.
      if (!query.ports.empty()) {
        const auto elsewhere = [&](const socket_entry& entry) {
          return !std::binary_search(query.ports.begin(), query.ports.end(), entry.local.port);
        };
        const auto first = sockets.begin() + static_cast<std::ptrdiff_t>(before);
        sockets.erase(std::remove_if(first, sockets.end(), elsewhere), sockets.end());
      }
      return table_source::sock_diag;
    }
    seen.sock_diag_error = refused;
    sockets.resize(before);
  }
  if (!read_proc_net(query, which, sockets, seen)) return table_source::proc_net;
  sockets.resize(before);
  return table_source::nothing;
}

inline std::optional<std::uint32_t> count_of_tcp(std::string_view kind) {
  std::string text;
  if (read_file(AT_FDCWD, proc_path("thread-self/net/sockstat").c_str(), text)) return std::nullopt;
  return parse_sockstat(text, kind);
}

/// The sockets that a query asks for, of this network namespace, and how they were read. Steps down
/// from sock_diag(7) to /proc/net. What could not be read is missing, and `seen` says so.
inline void read_sockets(const socket_query& query, std::vector<observed_socket>& sockets,
                         visibility& seen) {
  sock_diag diag;
  seen.sock_diag_error = sock_diag::open(diag);
  sock_diag* const route = seen.sock_diag_error ? nullptr : &diag;
  // Each protocol has states that the other has not: to ask for CLOSE would make the kernel walk
  // all TCP connections, none of which is in it.
  if (query.ports.empty() && query.states.contains(socket_state::established))
    sockets.reserve(count_of_tcp("inuse").value_or(0));
  socket_query narrow = query;
  narrow.states = query.states - socket_state::unconn;
  if (query.tcp && !narrow.states.empty()) {
    seen.tcp = read_protocol(route, narrow, protocol::tcp, sockets, seen);
  }
  narrow.states = query.states & (socket_state::established | socket_state::unconn);
  if (query.udp && !narrow.states.empty()) {
    seen.udp = read_protocol(route, narrow, protocol::udp, sockets, seen);
  }
  seen.bound_sockets = seen.tcp == table_source::sock_diag && kernel_lists_bound_sockets();
}

/// How many TIME_WAIT sockets this network namespace has; nothing if that cannot be read.
/// Whether a table has the queues of a socket and its user.
inline constexpr bool tables_have_queues = true;
inline constexpr bool tables_have_users = true;

inline std::optional<std::uint32_t> time_waits() { return count_of_tcp("tw"); }

inline owner_view view_of(const process_visibility& visible, owner_reach reach) noexcept {
  if (is_shortage_of_descriptors(visible.proc)) return owner_view::no_descriptors;
  if (visible.proc) return owner_view::no_proc;
  if (visible.hidepid) return owner_view::hidepid;
  if (!visible.unreadable_users.empty()) return owner_view::own_user_only;
  return reach == owner_reach::own_tree ? owner_view::own_tree : owner_view::all;
}

/// Names the holders of these sockets, as far as `reach` goes, and says in `seen` how much of the
/// machine's processes could be seen.
inline void find_owners(std::vector<observed_socket>& sockets, owner_reach reach, visibility& seen,
                        process_census* census = nullptr) {
  const process_visibility visible = owner_search{sockets}.run(reach, census);
  seen.owners = view_of(visible, reach);
  seen.pid_namespace = visible.pid_namespace;
  seen.owners_error = visible.shortage;
  seen.large_environments = visible.large_environments;
}
inline void find_owners(std::vector<observed_socket>& sockets, owner_reach reach) {
  owner_search{sockets}.run(reach);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
