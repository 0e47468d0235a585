// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/explain_bind.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {

/// What keeps a bind to this endpoint from succeeding now, as text; empty if nothing does. It is
/// what an adapter's `is_free` says. Throws `observe_error` if it cannot look.
inline std::string obstacle(const endpoint& local, protocol which = protocol::tcp) {
  coverage seen;
  const diagnosis why = explain_bind({which, local, v6_only::dual_stack}, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

/// The same for a port on any address.
inline std::string obstacle(std::uint16_t port, protocol which = protocol::tcp) {
  coverage seen;
  const diagnosis why = explain_port(which, port, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

/// The same for a lease, on each protocol that it is for.
inline std::string obstacle(const port_lease& port) {
  std::string text;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (includes(port.kind(), which)) text += obstacle(port.number(), which);
  }
  return text;
}

}  // namespace v0
}  // namespace tidewait
