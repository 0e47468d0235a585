// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

/// What is known beside the sockets, of this process and of a look that saw so much.
inline bind_environment environment_now(const visibility& seen) {
  bind_environment environment;
  environment.rules = read_port_rules();
  environment.pid_namespace = seen.pid_namespace;
  environment.owners = seen.owners;
  environment.user = user_id();
  environment.may_trace = may_trace_others();
  return environment;
}

/// The same for one port.
inline bind_environment environment_now(const visibility& seen, std::uint16_t port) {
  bind_environment environment = environment_now(seen);
  environment.loopback_down = loopback_is_down();
  environment.multicast = multicast_joined(port);
  environment.listened = shared_state::instance().seen.is_own_listener(port);
  return environment;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
