// SPDX-License-Identifier: BSL-1.0
#include "port_locks.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <string>
#include <system_error>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/proc_unix.hpp>
#include <tidewait/detail/linux/sock_diag.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/shared_state.hpp>

namespace tidewait::command {

namespace {

/// Whether somebody has the lock: then nobody else can take it, not even for a moment.
bool is_taken(const port_lock& lock) {
  detail::unique_fd probe;
  return detail::lock_port(lock.protocol, lock.port, probe) == std::errc::address_in_use;
}

}  // namespace

std::vector<port_lock> port_locks_among(const std::vector<unix_entry>& listeners) {
  std::vector<port_lock> locks;
  for (const unix_entry& each : listeners) {
    const auto place = detail::parse_lock_name(each.name);
    if (place && each.kind == unix_kind::stream)
      locks.push_back({place->first, place->second, each.inode});
  }
  return locks;
}

std::vector<port_lock> parse_port_locks(std::string_view text) {
  struct named_lock {
    port_lock lock;
    bool listens = false;
  };
  std::vector<named_lock> found;
  std::vector<std::uint32_t> inodes;
  while (!text.empty()) {
    const auto line = detail::parse_unix_line(detail::take_line(text));
    if (!line) continue;
    inodes.push_back(line->inode);
    std::string name{line->path};
    if (name.empty() || name.front() != '@') continue;
    name.front() = '\0';
    const auto place = detail::parse_lock_name(name);
    if (!place || line->type != SOCK_STREAM || line->state != detail::unix_line::unconnected)
      continue;
    found.push_back({{place->first, place->second, line->inode},
                     (line->flags & detail::unix_line::listens) != 0});
  }
  std::sort(inodes.begin(), inodes.end());
  std::vector<port_lock> locks;
  for (const named_lock& each : found) {
    const auto same = [&](const named_lock& other) {
      return other.lock.protocol == each.lock.protocol && other.lock.port == each.lock.port;
    };
    const bool first = &*std::find_if(found.begin(), found.end(), same) == &each;
    if (!first) continue;
    const auto [begin, end] = std::equal_range(inodes.begin(), inodes.end(), each.lock.inode);
    const bool clear = std::count_if(found.begin(), found.end(), same) == 1 && end - begin == 1;
    if (clear && !each.listens) continue;
    locks.push_back(each.lock);
    if (!clear) locks.back().inode = 0;
  }
  return locks;
}

std::vector<port_lock> read_port_locks() {
  std::vector<unix_entry> listeners;
  detail::sock_diag diag;
  std::error_code refused = detail::sock_diag::open(diag);
  if (!refused) refused = diag.dump_unix(detail::unix_states::listening, listeners);
  if (!refused) return port_locks_among(listeners);

  std::string text;
  const std::error_code unread =
      detail::read_file(AT_FDCWD, detail::proc_path("thread-self/net/unix").c_str(), text);
  std::vector<port_lock> locks;
  if (!unread) locks = parse_port_locks(text);
  locks.erase(std::remove_if(locks.begin(), locks.end(), std::not_fn(is_taken)), locks.end());
  detail::shared_state::instance().told.note(
      "port_locks",
      unread ? "leases are not visible: sock_diag refused (" + refused.message() +
                   "), and /proc/net/unix cannot be read (" + unread.message() + ')'
             : "leases read from /proc/net/unix: sock_diag refused (" + refused.message() + ')');
  return locks;
}

namespace {

observed_socket as_socket(const port_lock& lock) {
  observed_socket entry;
  entry.protocol = lock.protocol;
  entry.local.port = lock.port;
  entry.inode = lock.inode;
  return entry;
}

/// A server inherits the lock from whoever leased the port, which therefore is the oldest holder.
process lessee(const observed_socket& lock) {
  const auto oldest =
      std::min_element(lock.owners.begin(), lock.owners.end(),
                       [](const process& a, const process& b) { return a.pid < b.pid; });
  return oldest == lock.owners.end() ? process{} : *oldest;
}

}  // namespace

/// Nobody is asked through the lock itself: that would leave an entry in its backlog.
port_leases find_owners_and_leases(socket_table& table, const socket_query& query,
                                   detail::process_census& census) {
  // The locks join the table while the owners are looked for.
  port_leases leases;
  std::vector<std::uint32_t> inodes;
  const std::size_t sockets = table.sockets.size();
  for (const port_lock& lock : read_port_locks()) {
    const auto shown = table.sockets.begin() + static_cast<std::ptrdiff_t>(sockets);
    const bool wanted =
        std::any_of(table.sockets.begin(), shown, [&](const observed_socket& socket) {
          return socket.protocol == lock.protocol && socket.local.port == lock.port;
        });
    if (!wanted) continue;
    leases[{lock.protocol, lock.port}] = {};
    if (lock.inode == 0) continue;
    inodes.push_back(lock.inode);
    table.sockets.push_back(as_socket(lock));
  }
  detail::name_owners(table, query, &census);

  std::sort(inodes.begin(), inodes.end());
  const auto is_lock = [&](const observed_socket& entry) {
    return std::binary_search(inodes.begin(), inodes.end(), entry.inode);
  };
  for (const observed_socket& entry : table.sockets) {
    if (is_lock(entry)) leases[{entry.protocol, entry.local.port}] = lessee(entry);
  }
  table.sockets.erase(std::remove_if(table.sockets.begin(), table.sockets.end(), is_lock),
                      table.sockets.end());
  return leases;
}

port_leases lease_of(protocol which, std::uint16_t port) {
  port_leases leases;
  for (const port_lock& lock : read_port_locks()) {
    if (lock.protocol != which || lock.port != port) continue;
    std::vector<observed_socket> holders{as_socket(lock)};
    if (lock.inode != 0) detail::find_owners(holders, owner_reach::everyone);
    leases[{which, port}] = lessee(holders.front());
  }
  return leases;
}

}  // namespace tidewait::command
