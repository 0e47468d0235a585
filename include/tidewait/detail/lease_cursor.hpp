// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/port_candidates.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where the next search goes on. Drawn at random in each process, and in each fork anew.
struct lease_cursor {
  port_candidates candidates{};
  std::uint64_t net_namespace = 0;  ///< Its inode,
  std::uint64_t net_cookie = 0;     ///< and how its sockets name it.
  int pid = 0;

  /// Reads the rules if this is another process or namespace than last time, or on request.
  /// `cookie`: of the namespace the calling thread is in.
  void refresh(std::uint64_t cookie, bool again) {
    const int self = process_id();
    if (pid == self && net_cookie == cookie && !again) return;
    candidates = port_candidates{read_port_rules(), entropy()};
    net_namespace = current_net_namespace();
    net_cookie = cookie;
    pid = self;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
