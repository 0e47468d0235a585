// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Drops what has been closed since the table was read, of those sockets for which `unresolved`.
template <typename Unresolved>
void drop_closed(std::vector<observed_socket>& sockets, socket_query query,
                 const Unresolved& unresolved) {
  query.ports.clear();
  for (const observed_socket& entry : sockets) {
    if (unresolved(entry)) query.ports.push_back(entry.local.port);
  }
  std::sort(query.ports.begin(), query.ports.end());
  socket_table again;
  read_sockets(query, again.sockets, again.seen);
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

/// Names the holders of the sockets that are in the table. One of which none was found is looked
/// up once more: it may have been closed meanwhile, and then it is dropped, or have been handed
/// to a process that was already passed by.
/// `census`: see `owner_search`; it may have begun before the table was read.
inline void name_owners(socket_table& table, const socket_query& query,
                        process_census* census = nullptr) {
  find_owners(table.sockets, query.owners, table.seen, census);
  const bool saw_all =
      table.seen.owners == owner_view::all || table.seen.owners == owner_view::own_tree;
  const bool sought = std::any_of(
      table.sockets.begin(), table.sockets.end(),
      [](const observed_socket& entry) { return entry.inode != 0 || !entry.owners.empty(); });
  if (saw_all && !sought) table.seen.owners = owner_view::not_searched;
  const auto unresolved = [](const observed_socket& entry) {
    return entry.owned == ownership::ownerless || entry.owned == ownership::outside ||
           entry.owned == ownership::hidden;
  };
  if (std::none_of(table.sockets.begin(), table.sockets.end(), unresolved)) return;
  drop_closed(table.sockets, query, unresolved);
  const auto is_ownerless = [](const observed_socket& entry) {
    return entry.owned == ownership::ownerless || entry.owned == ownership::outside;
  };
  std::vector<observed_socket> ownerless;
  for (const observed_socket& entry : table.sockets) {
    if (is_ownerless(entry)) ownerless.push_back(entry);
  }
  if (ownerless.empty()) return;
  find_owners(ownerless, query.owners, table.seen, nullptr);
  auto found = ownerless.begin();
  for (observed_socket& entry : table.sockets) {
    if (is_ownerless(entry)) entry = std::move(*found++);
  }
}

inline socket_table look_at_sockets(socket_query query) {
  std::sort(query.ports.begin(), query.ports.end());
  socket_table table;
  read_sockets(query, table.sockets, table.seen);
  if (query.owners != owner_reach::nobody) name_owners(table, query);
  return table;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
