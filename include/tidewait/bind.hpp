// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/visibility.hpp>

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

/// A bind that somebody wants to make.
struct bind_request {
  tidewait::protocol protocol = protocol::tcp;
  endpoint local;
  tidewait::ipv6_only ipv6_only = ipv6_only::no;
};

/// The options of socket(7) that let a second socket onto an endpoint.
enum class reuse : std::uint8_t { none, address, port, address_and_port };

/// What the kernel answered to a bind; an empty error means that it succeeded.
struct bind_outcome {
  std::error_code plain;          ///< Without reuse options.
  std::error_code reuse_address;  ///< With SO_REUSEADDR.
  std::error_code reuse_port;     ///< With SO_REUSEPORT.
};

/// What is known beside the sockets when a bind is explained.
struct bind_environment {
  port_rules rules;
  bool leased = false;         ///< The port is leased by this process.
  bool pid_namespace = false;  ///< Processes outside this pid namespace are not visible.
  owner_view owners = owner_view::not_searched;  ///< Which processes the search for owners saw.
  std::optional<std::uint32_t> user;  ///< Who would bind: only one user's sockets share a port.
  bool may_trace = false;             ///< The one who looks has CAP_SYS_PTRACE (capabilities(7)).
};

}  // namespace v0
}  // namespace tidewait
