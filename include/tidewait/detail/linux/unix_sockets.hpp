// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <limits.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/descriptor_table.hpp>
#include <tidewait/detail/linux/keeper_search.hpp>
#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/proc_unix.hpp>
#include <tidewait/detail/linux/read_sockets.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether the socket is the lock of a leased port.
inline bool is_lease_lock(const unix_entry& socket) noexcept {
  return parse_lock_name(socket.name).has_value();
}

/// Reads the Unix sockets of this network namespace that have a name, locks of leases among them.
/// Steps down from sock_diag(7) to /proc/net/unix, and says so in `seen`. A socket on a path may
/// also be in another network namespace, and is then not among them.
inline std::vector<observed_unix> read_unix_sockets(unix_states states, visibility& seen) {
  std::vector<unix_entry> entries;
  sock_diag diag;
  seen.unix_sockets = table_source::sock_diag;
  seen.unix_diag_error = sock_diag::open(diag);
  if (!seen.unix_diag_error) seen.unix_diag_error = diag.dump_unix(states, entries);
  if (seen.unix_diag_error) {
    std::string text;
    const auto unread = read_file(AT_FDCWD, proc_path("thread-self/net/unix").c_str(), text);
    seen.unix_sockets = unread ? table_source::nothing : table_source::proc_net;
    entries = parse_proc_unix(text);
  }
  std::vector<observed_unix> sockets;
  for (unix_entry& each : entries) {
    const bool asked = states == unix_states::all ||
                       (states == unix_states::listening ? each.state == socket_state::listen
                                                         : each.state != socket_state::established);
    if (asked && !each.name.empty()) sockets.push_back({std::move(each)});
  }
  return sockets;
}

/// Has the holders of these sockets searched as those of ports are.
template <typename Search>
void search_holders(std::vector<observed_unix>& sockets, Search&& search) {
  std::vector<observed_socket> held(sockets.size());
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    held[i].state = sockets[i].state;
    held[i].inode = sockets[i].inode;
    held[i].uid = sockets[i].uid;
    held[i].owned = sockets[i].owned;
    held[i].owners = std::move(sockets[i].owners);
    held[i].keeper = std::move(sockets[i].keeper);
  }
  search(held);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    sockets[i].owned = held[i].owned;
    sockets[i].owners = std::move(held[i].owners);
    sockets[i].keeper = std::move(held[i].keeper);
  }
}

/// Names the holders of these sockets; of one that no process holds, what keeps it.
inline void find_owners(std::vector<observed_unix>& sockets, owner_reach reach, visibility& seen) {
  search_holders(sockets, [&](std::vector<observed_socket>& held) {
    for (observed_socket& each : held) each.owners.clear();
    find_owners(held, reach, seen);
    find_keepers(held);
  });
}

/// How many descriptors this process has open: one system call since Linux 6.2, where the directory
/// of them says it. Nothing if /proc cannot be read.
inline std::optional<std::size_t> open_descriptors() {
  struct stat info {};
  const std::string path = proc_path("self/fd");
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  if (info.st_size > 0) return static_cast<std::size_t>(info.st_size);
  std::size_t count = 0;
  const auto error = for_each_name(AT_FDCWD, path.c_str(), [&](int, const char*) { ++count; });
  return error ? std::nullopt : std::optional{count};
}

/// The name as an address; `size` is 0 if it does not fit.
struct unix_address {
  sockaddr_un address{};
  socklen_t size = 0;

  explicit unix_address(std::string_view name) noexcept {
    address.sun_family = AF_UNIX;
    const bool abstract = !name.empty() && name.front() == '\0';
    if (name.size() > longest_socket_path + (abstract ? 1 : 0)) return;
    std::memcpy(address.sun_path, name.data(), name.size());
    size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1));
  }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address); }
};

/// Whether a socket is open on this socket file. connect(2) is asked by a socket that has its peer
/// already: the kernel finds who is at the path and goes no further (EISCONN), or finds that it is
/// of another type (EPROTOTYPE). So nobody is connected to: a listener would have to accept it, and
/// a datagram socket would change its state.
inline unix_bind_facts::life life_of(const std::string& path) {
  using life = unix_bind_facts::life;
  const unix_address where{path};
  if (where.size == 0) return life::unknown;
  // A socket of the same type that is bound and does not listen refuses like nobody.
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    int pair[2];
    if (sys.socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
      return life::unknown;
    const unique_fd one{pair[0]};
    const unique_fd other{pair[1]};
    if (sys.connect(one.get(), where.get(), where.size) == 0) return life::open;
    switch (errno) {
      case EPROTOTYPE:
      case EISCONN:
      case EAGAIN: return life::open;  // EAGAIN: as many wait for accept(2) as may
      case ECONNREFUSED: break;
      default: return life::unknown;
    }
  }
  return life::none;
}

/// The path from the root, its last part not resolved; empty if unknown.
inline std::string absolute_path(const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  const std::unique_ptr<char, void (*)(void*)> here{::getcwd(nullptr, 0), std::free};
  return here ? std::string{here.get()} + '/' + path : std::string{};
}

/// Why no file can be made in the directory of `path`; empty if one can.
inline std::error_code why_no_file(const std::string& path, std::string& failing_part) {
  const std::string folder = split_path(path).first;
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    const std::error_code error = last_error();
    // The first part on the way that is not there, or that does not let us through.
    failing_part = folder;
    for (std::size_t end = folder.find('/', 1); end != std::string::npos;
         end = folder.find('/', end + 1)) {
      const std::string part = folder.substr(0, end);
      if (::faccessat(AT_FDCWD, part.c_str(), X_OK, AT_EACCESS) == 0) continue;
      failing_part = part;
      break;
    }
    return error;
  }
  struct stat info {};
  failing_part = folder;
  if (::stat(folder.c_str(), &info) != 0) return last_error();
  if (!S_ISDIR(info.st_mode)) return std::make_error_code(std::errc::not_a_directory);
  failing_part.clear();
  return {};
}

/// What statfs(2) says of a file system that has no socket files, or of which that is not known.
struct special_file_system {
  std::uint32_t type;
  const char* name;
  unix_bind_facts::sockets sockets;
};
inline constexpr special_file_system special_file_systems[] = {
    {0x9fa0, "proc", unix_bind_facts::sockets::no},
    {0x62656572, "sysfs", unix_bind_facts::sockets::no},
    {0x0027e0eb, "cgroup", unix_bind_facts::sockets::no},
    {0x63677270, "cgroup2", unix_bind_facts::sockets::no},
    {0x19800202, "mqueue", unix_bind_facts::sockets::no},
    {0x1cd1, "devpts", unix_bind_facts::sockets::no},
    {0x4d44, "vfat", unix_bind_facts::sockets::no},
    {0x2011bab0, "exfat", unix_bind_facts::sockets::no},
    {0x786f4256, "vboxsf, a shared folder of VirtualBox", unix_bind_facts::sockets::no},
    {0x65735546, "FUSE", unix_bind_facts::sockets::unknown},  // virtiofs as well
    {0x01021997, "9p", unix_bind_facts::sockets::unknown},
    {0xff534d42, "CIFS", unix_bind_facts::sockets::unknown},
    {0xfe534d42, "SMB", unix_bind_facts::sockets::unknown},
};

inline void look_at_file_system(const std::string& path, unix_bind_facts& facts) {
  struct statfs info {};
  const std::string folder = split_path(path).first;
  if (::statfs(folder.c_str(), &info) != 0) return;
  for (const special_file_system& each : special_file_systems) {
    if (each.type != static_cast<std::uint32_t>(info.f_type)) continue;
    facts.on_file_system = each.sockets;
    facts.file_system = each.name;
    facts.failing_part = folder;
  }
}

/// Whether this user may remove a file of that user from its directory (unlink(2)).
inline bool may_remove(const std::string& path, std::uint32_t file_user) {
  const std::string folder = split_path(path).first;
  struct stat info {};
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0 ||
      ::stat(folder.c_str(), &info) != 0) {
    return false;
  }
  const uid_t user = ::geteuid();
  return (info.st_mode & S_ISVTX) == 0 || user == 0 || user == file_user || user == info.st_uid;
}

/// What a bind to this name would say, without making a file: an abstract name is bound and given
/// up at once, of a path the file system is asked.
inline unix_bind_facts look_at_unix_name(const std::string& name, unix_kind kind) {
  using file = unix_bind_facts::file;
  unix_bind_facts facts;
  facts.user = ::geteuid();
  const unix_address where{name};
  if (where.size == 0) facts.bind = std::make_error_code(std::errc::invalid_argument);
  if (!name.empty() && name.front() == '\0') {
    if (facts.bind) return facts;
    in_private_descriptor_table([&] {
      const unique_fd fd{sys.socket(AF_UNIX, static_cast<int>(kind) | SOCK_CLOEXEC, 0)};
      if (!fd || sys.bind(fd.get(), where.get(), where.size) != 0) facts.bind = last_error();
    });
    return facts;
  }
  facts.absolute_path = absolute_path(name);
  struct stat info {};
  if (::lstat(name.c_str(), &info) == 0) {
    facts.there = S_ISSOCK(info.st_mode)  ? file::socket
                  : S_ISLNK(info.st_mode) ? file::symbolic_link
                  : S_ISDIR(info.st_mode) ? file::directory
                                          : file::other;
    if (!facts.bind) facts.bind = std::make_error_code(std::errc::address_in_use);
    facts.file_user = info.st_uid;
    facts.removable = may_remove(name, info.st_uid);
    facts.file_device = info.st_dev;
    facts.file_inode = info.st_ino;
    constexpr std::uint64_t second = 1000000000;
    facts.file_changed = static_cast<std::uint64_t>(info.st_ctim.tv_sec) * second +
                         static_cast<std::uint64_t>(info.st_ctim.tv_nsec);
    if (facts.there == file::socket) facts.socket = life_of(name);
    return facts;
  }
  const std::error_code hidden = last_error();
  const std::error_code refused = why_no_file(name, facts.failing_part);
  if (!facts.bind) facts.bind = refused;
  if (!facts.bind && hidden != std::errc::no_such_file_or_directory) facts.bind = hidden;
  if (facts.bind) return facts;
  look_at_file_system(name, facts);
  if (facts.on_file_system == unix_bind_facts::sockets::no)
    facts.bind = std::make_error_code(std::errc::operation_not_permitted);
  return facts;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
