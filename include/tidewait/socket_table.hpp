// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <tidewait/coverage.hpp>
#include <tidewait/detail/linux/kernel_features.hpp>
#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/sock_diag.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// What to read. The kernel filters by protocol, state and port, so a narrow question is cheap: the
/// listeners alone take some 20 µs however many connections the machine has.
struct socket_query {
  bool tcp = true;
  bool udp = true;
  state_set states = state_set::all();
  std::vector<std::uint16_t> ports;  ///< Local ports; none: every port.
  owner_reach owners = owner_reach::nobody;
};

namespace detail {

/// The sockets of one protocol from /proc/net. tcp6 and udp6 are absent where IPv6 is off.
inline std::error_code read_proc_net(const socket_query& query, protocol which,
                                     std::vector<socket_entry>& sockets, coverage& seen) {
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

/// The sockets of one protocol, from sock_diag or, a step down, from /proc/net.
inline table_source read_protocol(sock_diag* diag, const socket_query& query, protocol which,
                                  std::vector<socket_entry>& sockets, coverage& seen) {
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

inline owner_view view_of(const process_visibility& visible, owner_reach reach) noexcept {
  if (visible.proc) return owner_view::no_proc;
  if (visible.hidepid) return owner_view::hidepid;
  if (!visible.unreadable_users.empty()) return owner_view::own_user_only;
  return reach == owner_reach::own_tree ? owner_view::own_tree : owner_view::all;
}

}  // namespace detail

/// A snapshot of this network namespace's TCP and UDP sockets.
struct socket_table {
  std::vector<socket_entry> sockets;
  coverage seen;

  /// Reads the table. Steps down from sock_diag to /proc/net and says so in `seen`.
  /// Throws `observe_error` if neither can be read.
  static socket_table current(const socket_query& query = {}) {
    std::error_code error;
    socket_table table = current(query, error);
    if (error) {
      throw observe_error{error, "looking at the sockets of this machine",
                          detail::joined(gaps(table.seen), "; ")};
    }
    return table;
  }

  /// The same; sets `error` (`errc::cannot_look`) instead of throwing it. What could be read of the
  /// other protocol is kept.
  static socket_table current(socket_query query, std::error_code& error) {
    error.clear();
    std::sort(query.ports.begin(), query.ports.end());
    socket_table table;
    table.read(query);
    if (query.owners != owner_reach::nobody) table.find_owners(query);
    if (table.seen.blind()) error = errc::cannot_look;
    return table;
  }

  /// Names the holders of the sockets that are in the table. One of which none was found is looked
  /// up once more: it may have been closed meanwhile, and then it is dropped, or have been handed
  /// to a process that was already passed by.
  /// `census`: see `owner_search`; it may have begun before the table was read.
  void find_owners(const socket_query& query, detail::process_census* census = nullptr) {
    search(sockets, query.owners, census);
    const auto unresolved = [](const socket_entry& entry) {
      return entry.owned == ownership::ownerless || entry.owned == ownership::hidden;
    };
    if (std::none_of(sockets.begin(), sockets.end(), unresolved)) return;
    drop_closed(query, unresolved);
    std::vector<socket_entry> ownerless;
    for (const socket_entry& entry : sockets) {
      if (entry.owned == ownership::ownerless) ownerless.push_back(entry);
    }
    if (ownerless.empty()) return;
    search(ownerless, query.owners);
    auto found = ownerless.begin();
    for (socket_entry& entry : sockets) {
      if (entry.owned == ownership::ownerless) entry = std::move(*found++);
    }
  }

 private:
  void search(std::vector<socket_entry>& among, owner_reach reach,
              detail::process_census* census = nullptr) {
    const auto visible = detail::owner_search{among}.run(reach, census);
    seen.owners = detail::view_of(visible, reach);
    seen.pid_namespace = visible.pid_namespace;
    seen.owners_error = visible.shortage;
    seen.large_environments = visible.large_environments;
  }

  template <typename Unresolved>
  void drop_closed(const socket_query& query, const Unresolved& unresolved) {
    socket_query narrow = query;
    narrow.ports.clear();
    for (const socket_entry& entry : sockets) {
      if (unresolved(entry)) narrow.ports.push_back(entry.local.port);
    }
    std::sort(narrow.ports.begin(), narrow.ports.end());
    socket_table again;
    again.read(narrow);
    if (again.seen.blind()) return;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> open;
    for (const socket_entry& now : again.sockets) open.push_back({now.cookie, now.inode});
    std::sort(open.begin(), open.end());
    const auto closed = [&](const socket_entry& entry) {
      return unresolved(entry) &&
             !std::binary_search(open.begin(), open.end(), std::pair{entry.cookie, entry.inode});
    };
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(), closed), sockets.end());
  }

  void read(const socket_query& query) {
    detail::sock_diag diag;
    seen.sock_diag_error = detail::sock_diag::open(diag);
    detail::sock_diag* const route = seen.sock_diag_error ? nullptr : &diag;
    // Each protocol has states that the other has not: to ask for CLOSE would make the kernel walk
    // all TCP connections, none of which is in it.
    if (query.ports.empty() && query.states.contains(socket_state::established))
      sockets.reserve(detail::count_of_tcp("inuse").value_or(0));
    socket_query narrow = query;
    narrow.states = query.states - socket_state::close;
    if (query.tcp && !narrow.states.empty()) {
      seen.tcp = detail::read_protocol(route, narrow, protocol::tcp, sockets, seen);
    }
    narrow.states = query.states & (socket_state::established | socket_state::close);
    if (query.udp && !narrow.states.empty()) {
      seen.udp = detail::read_protocol(route, narrow, protocol::udp, sockets, seen);
    }
    seen.bound_sockets =
        seen.tcp == table_source::sock_diag && detail::kernel_lists_bound_sockets();
  }
};

/// How many TIME_WAIT sockets this network namespace has (/proc/net/sockstat, some 10 µs).
/// Nothing if that cannot be read.
inline std::optional<std::uint32_t> time_wait_count() { return detail::count_of_tcp("tw"); }

}  // namespace v0
}  // namespace tidewait
