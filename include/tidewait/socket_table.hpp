// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/os.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// A snapshot of this network namespace's TCP and UDP sockets.
struct socket_table {
  std::vector<observed_socket> sockets;
  visibility seen;

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
    const auto unresolved = [](const observed_socket& entry) {
      return entry.owned == ownership::ownerless || entry.owned == ownership::outside ||
             entry.owned == ownership::hidden;
    };
    if (std::none_of(sockets.begin(), sockets.end(), unresolved)) return;
    drop_closed(query, unresolved);
    const auto is_ownerless = [](const observed_socket& entry) {
      return entry.owned == ownership::ownerless || entry.owned == ownership::outside;
    };
    std::vector<observed_socket> ownerless;
    for (const observed_socket& entry : sockets) {
      if (is_ownerless(entry)) ownerless.push_back(entry);
    }
    if (ownerless.empty()) return;
    search(ownerless, query.owners);
    auto found = ownerless.begin();
    for (observed_socket& entry : sockets) {
      if (is_ownerless(entry)) entry = std::move(*found++);
    }
  }

 private:
  void search(std::vector<observed_socket>& among, owner_reach reach,
              detail::process_census* census = nullptr) {
    detail::find_owners(among, reach, seen, census);
  }

  template <typename Unresolved>
  void drop_closed(const socket_query& query, const Unresolved& unresolved) {
    socket_query narrow = query;
    narrow.ports.clear();
    for (const observed_socket& entry : sockets) {
      if (unresolved(entry)) narrow.ports.push_back(entry.local.port);
    }
    std::sort(narrow.ports.begin(), narrow.ports.end());
    socket_table again;
    again.read(narrow);
    if (again.seen.blind()) return;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> open;
    for (const observed_socket& now : again.sockets) open.push_back({now.cookie, now.inode});
    std::sort(open.begin(), open.end());
    const auto closed = [&](const observed_socket& entry) {
      return unresolved(entry) &&
             !std::binary_search(open.begin(), open.end(), std::pair{entry.cookie, entry.inode});
    };
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(), closed), sockets.end());
  }

  void read(const socket_query& query) { detail::read_sockets(query, sockets, seen); }
};

/// How many TIME_WAIT sockets this network namespace has (/proc/net/sockstat, some 10 µs).
/// Nothing if that cannot be read.
inline std::optional<std::uint32_t> time_wait_count() { return detail::time_waits(); }

}  // namespace v0
}  // namespace tidewait
