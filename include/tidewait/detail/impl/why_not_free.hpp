// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/adapter.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::string why_not_free(const endpoint& local, protocol which) {
  visibility seen;
  const diagnosis why = explain_bind({which, local, ipv6_only::no}, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string why_not_free(std::uint16_t port, protocol which) {
  visibility seen;
  const diagnosis why = explain_port(which, port, &seen);
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string why_not_free(const port_lease& port) {
  std::string text;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (includes(port.kind(), which)) text += why_not_free(port.number(), which);
  }
  return text;
}

}  // namespace v0
}  // namespace tidewait
