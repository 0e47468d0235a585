// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// The type of a Unix domain socket, numbered as SOCK_STREAM and its like are (socket(2)).
enum class unix_kind : std::uint8_t { stream = 1, datagram = 2, seqpacket = 5 };

/// "stream", "datagram", "seqpacket".
inline std::string_view to_string(unix_kind kind) noexcept {
  switch (kind) {
    case unix_kind::datagram: return "datagram";
    case unix_kind::seqpacket: return "seqpacket";
    case unix_kind::stream: break;
  }
  return "stream";
}

/// The longest path that a Unix socket can be bound to, in bytes: `sun_path` has 108 (unix(7)), the
/// last of which ends the path.
inline constexpr std::size_t longest_socket_path = 107;

/// One Unix domain socket as the kernel's table has it, as a value: facts of the kernel and nothing
/// else.
struct unix_entry {
  unix_kind kind = unix_kind::stream;  ///< Stream, datagram or seqpacket.
  /// `listen`, `established`, or `bound`: it has a name and neither listens nor is connected. A
  /// datagram socket is always `bound`: whether it is connected takes nothing from its name.
  socket_state state = socket_state::bound;
  /// The bytes of `sun_path`: a path as bind(2) was given it, or an abstract name, which starts
  /// with a zero byte (unix(7)). Empty: the socket has no name.
  std::string name{};
  std::uint64_t cookie = 0;         ///< The kernel's name of the socket (SO_COOKIE); 0: not known.
  std::uint32_t inode = 0;          ///< What /proc/PID/fd shows.
  std::uint32_t uid = 0;            ///< Of the process that made it, if `has_uid`.
  bool has_uid = false;             ///< Linux 5.3 and later say whose it is.
  std::uint64_t file_device = 0;    ///< Of the socket file (`st_dev`); 0: not known, or abstract.
  std::uint64_t file_inode = 0;     ///< Of the socket file (`st_ino`); 0: not known, or abstract.
  std::uint32_t receive_queue = 0;  ///< Bytes not yet read; of a listener: connections to accept.
  std::uint32_t send_queue = 0;     ///< Bytes not yet read by the peer; of a listener: the backlog.

  /// Whether the name is abstract: not in the file system (unix(7)).
  bool is_abstract() const noexcept { return !name.empty() && name.front() == '\0'; }
};

/// A Unix domain socket and what a look found out about it; or a socket file that has no socket any
/// more.
struct observed_unix : unix_entry {
  ownership owned = ownership::not_searched;  ///< Whether its holders were found.
  std::vector<process> owners{};  ///< Every holder that was found, the caller's own process first.
  std::optional<socket_keeper> keeper{};  ///< If no process holds it, and what does was found.
  bool stale_file = false;                ///< Nobody has the socket open: only the file is left.
};

/// The name of a Unix socket as people write it: a path as it is, an abstract name with '@' for its
/// zero bytes. It is not encoded for output.
inline std::string unix_name_text(std::string_view name) {
  std::string text{name};
  if (text.empty() || text.front() != '\0') return text;
  for (char& c : text) c = c == '\0' ? '@' : c;
  return text;
}

/// The bytes of `sun_path` for what people write: "@name" is an abstract name, all else a path. A
/// path that starts with '@' is written "./@name".
inline std::string parse_unix_name(std::string_view text) {
  std::string name{text};
  if (!name.empty() && name.front() == '@') name.front() = '\0';
  return name;
}

}  // namespace v0
}  // namespace tidewait
