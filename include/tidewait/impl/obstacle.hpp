// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/explain_bind.hpp>
#include <tidewait/obstacle.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::string obstacle(const endpoint& local, protocol which) {
  coverage seen;
  const diagnosis why = explain_bind({which, local, v6_only::dual_stack}, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string obstacle(std::uint16_t port, protocol which) {
  coverage seen;
  const diagnosis why = explain_port(which, port, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string obstacle(const port_lease& port) {
  std::string text;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (includes(port.kind(), which)) text += obstacle(port.number(), which);
  }
  return text;
}

}  // namespace v0
}  // namespace tidewait
