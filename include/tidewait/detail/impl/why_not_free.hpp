// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/adapter.hpp>
#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::string why_not_free(const endpoint& local, protocol which) {
  const auto [why, seen] = explain_bind({which, local, ipv6_only::no});
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string why_not_free(std::uint16_t port, protocol which) {
  const auto [why, seen] = explain_port(which, port);
  return why.free() ? std::string{} : render(why, seen);
}

TIDEWAIT_INLINE std::string why_not_free(const port_lease& port) {
  std::string text;
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (includes(port.kind(), which)) text += why_not_free(port.number(), which);
  }
  return text;
}

TIDEWAIT_INLINE std::string explain_failed_binds(const report& found, bool test_failed) {
  std::string text;
  for (const failed_bind& each : found.failed_binds) {
    if (each.told) continue;
    if (test_failed) {
      text += (text.empty() ? "tidewait: " : "\ntidewait: ") +
              (found.test.empty() ? std::string{"this process"} : detail::sanitised(found.test)) +
              ": " + render(each);
      continue;
    }
    const std::string where = detail::bound_at(each.record);
    detail::tell_at_end(
        detail::shared_state::instance(), detail::end_table::topic::failed_binds,
        {detail::sanitised(found.test), detail::place_of(each.record),
         each.record.error.message() +
             (where.empty() ? "" : ", called at " + where.substr(0, where.find('\n')))});
  }
  return text;
}

TIDEWAIT_INLINE std::string list_harmless(const report& found) {
  std::vector<std::string> lines;
  for (const harmless_remainder& each : found.harmless) {
    lines.push_back(to_string(each.local) + ' ' + std::to_string(each.count) + ' ' + each.why);
  }
  return detail::joined(lines, "; ");
}

}  // namespace v0
}  // namespace tidewait
