// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <tidewait/endpoint.hpp>

namespace tidewait::command {

/// What kind of socket was bound.
enum class socket_kind : std::uint8_t { tcp, udp, local, other };

/// "tcp", "udp", "unix", "other".
std::string_view to_string(socket_kind kind) noexcept;

/// How sure the end of a call is. The kernel itself makes the call, after the witness has looked.
enum class certainty : std::uint8_t {
  seen,      ///< The socket stood in the kernel's tables afterwards.
  inferred,  ///< What the kernel answered to the same bind of our own, at that very moment.
  unknown,   ///< Nobody could ask.
};

/// "seen", "inferred", "unknown".
std::string_view to_string(certainty sure) noexcept;

/// One bind(2), with the listen(2) that followed on the same socket; or a listen(2) alone.
struct witnessed_bind {
  std::chrono::system_clock::time_point time;
  int pid = 0;
  int thread = 0;
  std::string command;  ///< The process's name (proc(5), comm), valid UTF-8.
  std::string test;     ///< Its TIDEWAIT_TEST; may be empty.
  socket_kind kind = socket_kind::other;
  /// Nothing: listen(2) alone, or the address is neither IPv4 nor IPv6, or could not be read.
  std::optional<endpoint> asked;
  std::optional<endpoint> got;  ///< Nothing: not known.
  std::string path;             ///< Of a Unix socket; '@' in front of an abstract name.
  /// That path from the root; empty if the caller may see other files there than this process.
  std::string file;
  bool kernel_chose_port = false;  ///< Nobody asks for that number again.
  bool reuse_address = false;      ///< SO_REUSEADDR
  bool reuse_port = false;         ///< SO_REUSEPORT
  ipv6_only scope = ipv6_only::no;
  std::uint64_t cookie = 0;      ///< SO_COOKIE; 0: not known.
  std::uint64_t inode = 0;       ///< Of a socket that only /proc shows; 0 for another.
  std::uint64_t net_cookie = 0;  ///< SO_NETNS_COOKIE; 0: not known.
  bool listening = false;        ///< listen(2) was called, and has not failed as far as is known.
  std::error_code error;         ///< Of the call; empty: it succeeded.
  bool at_listen = false;        ///< It is of the listen(2): another socket listens there already.
  certainty sure = certainty::unknown;
  std::string partial;  ///< Why only the arguments of the call are known; "" where all is.
  /// The calls that led to it, as in the journal (docs/journal.md); "" where the process has no
  /// witness of its own to write them there.
  std::string stack;
};

/// The port that the call took, also where the socket was closed before the table was read; 0: it
/// failed, or nothing is known.
inline std::uint16_t port_of(const witnessed_bind& bind) noexcept {
  if (bind.error) return 0;
  if (bind.got) return bind.got->port;
  return bind.asked ? bind.asked->port : std::uint16_t{0};
}

}  // namespace tidewait::command
