// SPDX-License-Identifier: BSL-1.0
#include "port_locks.hpp"

#include <algorithm>
#include <string>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/number.hpp>

namespace tidewait::command {

std::vector<port_lock> parse_port_locks(std::string_view text) {
  std::vector<port_lock> locks;
  while (!text.empty()) {
    std::string_view line = detail::take_line(text);
    // Num RefCount Protocol Flags Type St Inode Path
    std::string_view words[7];
    for (std::string_view& word : words) word = detail::take_word(line);
    std::string_view name = detail::take_word(line);
    constexpr std::string_view prefixes[] = {"@tidewait/tcp/", "@tidewait/udp/"};
    for (const std::string_view prefix : prefixes) {
      if (name.substr(0, prefix.size()) != prefix) continue;
      name.remove_prefix(prefix.size());
      const auto port = detail::take_number(name, 65535);
      const auto flags = detail::take_number(words[3], 0xffffffff, 16);
      const auto inode = detail::take_number(words[6], 0xffffffff);
      constexpr std::uint32_t listens = 0x10000;  // __SO_ACCEPTCON, include/uapi/linux/net.h
      if (!port || !name.empty() || !flags || !inode || (*flags & listens) == 0) break;
      locks.push_back({prefix == prefixes[0] ? protocol::tcp : protocol::udp,
                       static_cast<std::uint16_t>(*port), *inode});
      break;
    }
  }
  return locks;
}

std::vector<port_lock> read_port_locks() {
  std::string text;
  if (detail::read_file(AT_FDCWD, detail::proc_path("thread-self/net/unix").c_str(), text))
    return {};
  return parse_port_locks(text);
}

namespace {

socket_entry as_socket(const port_lock& lock) {
  socket_entry entry;
  entry.protocol = lock.protocol;
  entry.local.port = lock.port;
  entry.inode = lock.inode;
  return entry;
}

/// A server inherits the lock from whoever leased the port, which therefore is the oldest holder.
process lessee(const socket_entry& lock) {
  const auto oldest =
      std::min_element(lock.owners.begin(), lock.owners.end(),
                       [](const process& a, const process& b) { return a.pid < b.pid; });
  return oldest == lock.owners.end() ? process{} : *oldest;
}

}  // namespace

port_leases find_owners_and_leases(socket_table& table, const socket_query& query,
                                   detail::process_census& census) {
  // The locks join the table while the owners are looked for.
  port_leases leases;
  std::vector<std::uint32_t> inodes;
  const std::size_t sockets = table.sockets.size();
  for (const port_lock& lock : read_port_locks()) {
    const auto shown = table.sockets.begin() + static_cast<std::ptrdiff_t>(sockets);
    const bool wanted = std::any_of(table.sockets.begin(), shown, [&](const socket_entry& socket) {
      return socket.protocol == lock.protocol && socket.local.port == lock.port;
    });
    if (!wanted) continue;
    leases[{lock.protocol, lock.port}] = {};
    inodes.push_back(lock.inode);
    table.sockets.push_back(as_socket(lock));
  }
  table.find_owners(query, &census);

  std::sort(inodes.begin(), inodes.end());
  const auto is_lock = [&](const socket_entry& entry) {
    return std::binary_search(inodes.begin(), inodes.end(), entry.inode);
  };
  for (const socket_entry& entry : table.sockets) {
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
    std::vector<socket_entry> holders{as_socket(lock)};
    detail::owner_search{holders}.run(owner_reach::everyone);
    leases[{which, port}] = lessee(holders.front());
  }
  return leases;
}

}  // namespace tidewait::command
