// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/explain_socket.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Two different addresses that meet: one is a wildcard. [::] against IPv4 is the wider of the two.
inline explanation explain_cover(const endpoint& a, const endpoint& b) {
  const bool a_is_wide = a.address.is_wildcard() && (a.address.is_v6() || !b.address.is_wildcard());
  const endpoint& wide = a_is_wide ? a : b;
  const endpoint& narrow = a_is_wide ? b : a;
  const bool across = wide.address.is_v6() && narrow.address.is_v4();
  return {cause::wildcard_covers,
          to_string(wide) + " covers " + to_string(narrow) + ": to the kernel they are one port",
          across ? "set IPV6_V6ONLY on the IPv6 socket, or bind both to specific addresses"
                 : "bind both to specific addresses"};
}

/// Why two endpoints on one port do not meet.
inline std::string explain_apart(const observed_socket& socket, const bind_request& request) {
  const std::string there = to_string(socket.local);
  const std::string here = to_string(request.local);
  const ip_address a = socket.local.address.unmapped();
  const ip_address b = request.local.address.unmapped();
  if (a.is_v6() == b.is_v6()) return there + " and " + here + " are different addresses";
  const bool v6only = (a.is_v6() && a.is_wildcard() && socket.ipv6_only() == ipv6_only::yes) ||
                      (b.is_v6() && b.is_wildcard() && request.ipv6_only == ipv6_only::yes);
  return there + " and " + here + " do not meet: " +
         (v6only ? "the IPv6 one has IPV6_V6ONLY set" : "one is IPv4, the other IPv6");
}

/// What ends the trouble. A fix has to clear the finding: where a look is strict SO_REUSEADDR does
/// not, and where the server is known to have set it, it is no news.
inline std::string fix_time_wait(const bind_record* bound, bool strict, bool reuse_fails) {
  const std::string first = "let the client close first";
  if (strict || (bound != nullptr && bound->reuse_address && !reuse_fails)) return first;
  if (bound != nullptr && !bound->reuse_address)
    return first + ", or set SO_REUSEADDR on the server's socket before bind";
  return first + (reuse_fails ? ", or set SO_REUSEADDR before bind on this listener and on the one "
                                "before it"
                              : ", or set SO_REUSEADDR before bind");
}

inline explanation explain_time_wait(std::size_t count, bool only, const bind_outcome& outcome,
                                     const bind_record* bound, bool strict) {
  return {cause::time_wait,
          (count == 1 ? std::string{"this side closed the connection first"}
                      : "this side closed " + std::to_string(count) + " connections first") +
              ", so the kernel keeps the port in TIME_WAIT",
          fix_time_wait(bound, strict, only && outcome.reuse_address)};
}

/// Explains what stands in the way, and hands each explanation to `add`.
template <typename Add>
void explain_sockets(const std::vector<observed_socket>& sockets, const bind_request& request,
                     const bind_outcome& outcome, const bind_environment& environment, Add&& add) {
  std::size_t waiting = 0;
  bool served = false;
  const bind_record* bound = nullptr;
  for (const observed_socket& socket : sockets) {
    if (socket.state == socket_state::time_wait && socket.bound) bound = socket.bound.get();
    waiting += socket.state == socket_state::time_wait ? 1 : 0;
    served = served || socket.state == socket_state::listen;
  }
  for (const socket_group& group : grouped(sockets)) {
    const bool holder = is_holder(group.first);
    add(holder ? explain_holder(group.first, environment)
               : explain_connection(group, environment, served));
    if (holder && group.first.local.address.unmapped() != request.local.address.unmapped()) {
      add(explain_cover(group.first.local, request.local));
    }
  }
  if (waiting != 0) {
    add(explain_time_wait(waiting, waiting == sockets.size(), outcome, bound, environment.strict));
  }
}

/// Two processes that listen on one endpoint, of which at least one is not ours; ours in front. (Of
/// two addresses that overlap, the more specific one gets all clients: nothing is shared.)
inline std::optional<explanation> explain_shared_port(const std::vector<observed_socket>& sockets) {
  const process* first = nullptr;
  const process* second = nullptr;
  for (const observed_socket& a : sockets) {
    if (a.state != socket_state::listen || a.owners.empty()) continue;
    for (const observed_socket& b : sockets) {
      if (b.state != socket_state::listen || b.owners.empty()) continue;
      const process& x = a.owners.front();
      const process& y = b.owners.front();
      if (x.pid == y.pid || y.ours() || a.local.address != b.local.address) continue;
      if (first != nullptr && (first->ours() || !x.ours())) continue;
      first = &x;
      second = &y;
    }
  }
  if (first == nullptr) return std::nullopt;
  return explanation{
      cause::shared_silently,
      name_of(*first) + " and " + name_of(*second) +
          " listen on one port through SO_REUSEPORT: no bind fails, and each answers "
          "some of the other's clients",
      "do not set SO_REUSEPORT on a test server; lease the port"};
}

/// A bind that was refused for another reason than a socket in the way.
inline explanation explain_refusal(const bind_request& request, const std::error_code& error,
                                   const port_rules& rules) {
  if (error == std::errc::permission_denied && request.local.port < rules.unprivileged_start) {
    return {cause::privileged_port,
            "not in use: ports below " + std::to_string(rules.unprivileged_start) +
                " need a right (net.ipv4.ip_unprivileged_port_start)",
            "use a port from " + std::to_string(rules.unprivileged_start) +
                " on, or give the program CAP_NET_BIND_SERVICE"};
  }
  if (error == std::errc::address_not_available) {
    return {cause::address_not_local,
            "not in use: no interface of this network namespace has the address " +
                to_string(request.local.address),
            "bind an address of this machine (`ip address` lists them), or bring the interface up"};
  }
  return {cause::refused, "not in use: the system answers \"" + error.message() + '"',
          "see bind(2) for what this error means here"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
