// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <system_error>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Which Unix sockets to read. Only sockets with a name count.
enum class unix_states : std::uint8_t {
  listening,
  open,  ///< Also what is bound and not connected, and each datagram socket.
  all,
};

/// What the kernel and the file system say of the name of a Unix socket.
struct unix_bind_facts {
  /// What is at the path itself; a symbolic link is not followed, and bind(2) does not either.
  enum class file : std::uint8_t { none, socket, symbolic_link, directory, other };
  /// Whether a socket is open on the socket file, in whatever network namespace.
  enum class life : std::uint8_t { unknown, open, none };

  /// Whether the file system in which a file would be made has socket files.
  enum class sockets : std::uint8_t { yes, unknown, no };

  std::error_code bind{};      ///< What bind(2) would say; empty: it would succeed.
  std::string failing_part{};  ///< The directory that is missing, closed to us, or no directory.
  file there = file::none;
  life socket = life::unknown;
  std::string absolute_path{};    ///< The path from the root; empty if unknown.
  std::uint64_t file_device = 0;  ///< `st_dev` and `st_ino` of the socket file.
  std::uint64_t file_inode = 0;
  std::uint64_t file_changed = 0;  ///< `st_ctime` in nanoseconds: a new file may get an old inode.
  std::uint32_t user = 0;          ///< Who would bind.
  std::uint32_t file_user = 0;     ///< Who owns the socket file.
  bool removable = true;           ///< Whether this user may remove it.
  sockets on_file_system = sockets::yes;
  std::string file_system{};  ///< "vboxsf": of the directory, where it is not known to have them.
};

/// What tells the socket file from all that were or will be at its path: device, inode, and when
/// it was made; empty if there is none.
inline std::string file_identity(const unix_bind_facts& facts) {
  if (facts.there != unix_bind_facts::file::socket) return {};
  return std::to_string(facts.file_device) + ':' + std::to_string(facts.file_inode) + ':' +
         std::to_string(facts.file_changed);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
