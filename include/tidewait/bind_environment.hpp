// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>

#include <tidewait/coverage.hpp>
#include <tidewait/port_rules.hpp>

namespace tidewait {
inline namespace v0 {

/// What is known beside the sockets when a bind is explained.
struct bind_environment {
  port_rules rules;
  bool leased = false;         ///< The port is leased by this process.
  bool pid_namespace = false;  ///< Processes outside this pid namespace are not visible.
  owner_view owners = owner_view::not_searched;  ///< Which processes the search for owners saw.
  std::optional<std::uint32_t> user;  ///< Who would bind: only one user's sockets share a port.
};

}  // namespace v0
}  // namespace tidewait
