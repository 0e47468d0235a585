// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <vector>

namespace tidewait {
inline namespace v0 {

/// Ports from first to last, both included.
struct port_range {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  constexpr bool contains(std::uint16_t port) const noexcept {
    return port >= first && port <= last;
  }
};

/// The kernel's rules on port numbers in one network namespace (ip(7), Documentation/networking/
/// ip-sysctl.rst). The defaults are the kernel's.
struct port_rules {
  port_range ephemeral{32768, 60999};  ///< ip_local_port_range: outgoing connections and bind(0).
  std::vector<port_range> reserved;    ///< ip_local_reserved_ports: only for an explicit bind.
  std::uint16_t unprivileged_start = 1024;  ///< ip_unprivileged_port_start: below needs a right.
  bool autobind_reuse = false;              ///< ip_autobind_reuse: bind(0) may share a port in use.

  bool is_reserved(std::uint16_t port) const noexcept {
    for (const port_range& range : reserved) {
      if (range.contains(port)) return true;
    }
    return false;
  }
};

}  // namespace v0
}  // namespace tidewait
