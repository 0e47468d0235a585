// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether it is being closed by the kernel, with no process behind it.
inline bool closes_alone(const observed_socket& socket) noexcept {
  constexpr state_set closing = socket_state::fin_wait1 | socket_state::fin_wait2 |
                                socket_state::closing | socket_state::last_ack;
  return socket.inode == 0 && closing.contains(socket.state);
}

/// What the kernel keeps of a connection when no process has it any more.
inline bool is_remainder(const observed_socket& socket) noexcept {
  return socket.state == socket_state::time_wait || closes_alone(socket);
}

/// Whether the number was the kernel's choice, so that nobody asks for it again.
inline bool on_chosen_port(const observed_socket& socket) noexcept {
  return socket.bound && socket.bound->kernel_chose_port;
}

/// Why what the kernel keeps of a connection is in nobody's way: the same bind that the test made,
/// with the same options, succeeds. Empty if it is, or if the bind was not witnessed.
inline std::string why_harmless(const observed_socket& socket) {
  if (!is_remainder(socket) || !socket.bound) return {};
  if (on_chosen_port(socket)) return "the kernel chose the port";
  const bind_record& bound = *socket.bound;
  bind_request request{socket.protocol, bound.asked.value_or(socket.local), bound.ipv6_only};
  std::error_code error;
  in_private_descriptor_table([&] { bind_socket(request, bound.options(), error); });
  if (error) return {};
  if (bound.reuse_address) return "the server sets SO_REUSEADDR";
  return bound.reuse_port ? "the server sets SO_REUSEPORT" : "the next bind succeeds";
}

/// Of these, those whose end makes a difference.
inline std::vector<observed_socket> to_wait_for(std::vector<observed_socket> left,
                                                const policy& rules) {
  if (!rules.judges_by_consequence()) return left;
  left.erase(
      std::remove_if(left.begin(), left.end(),
                     [](const auto& each) { return is_remainder(each) && on_chosen_port(each); }),
      left.end());
  return left;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
