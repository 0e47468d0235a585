// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/explain_socket.hpp>
#include <tidewait/detail/explain_time_wait.hpp>
#include <tidewait/detail/multicast.hpp>
#include <tidewait/detail/os_words.hpp>

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
          to_string(wide) + " covers " + to_string(narrow) +
              ": the kernel treats both as the same port",
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

/// Explains what stands in the way, and hands each explanation to `add`.
template <typename Add>
void explain_sockets(const std::vector<observed_socket>& sockets, const bind_request& request,
                     const bind_outcome& outcome, const bind_environment& environment, Add&& add) {
  const bool served = is_served(sockets);
  for (const socket_group& group : grouped(sockets)) {
    const bool holder = is_holder(group.first);
    add(holder ? explain_holder(group.first, environment)
               : explain_connection(group, outcome, environment, served));
    if (holder && group.first.local.address.unmapped() != request.local.address.unmapped()) {
      add(explain_cover(group.first.local, request.local));
    }
  }
  explain_time_waits(sockets, outcome, environment, add);
}

/// Two processes that serve one endpoint, of which at least one is not ours; ours in front. (Of two
/// addresses that overlap, the more specific one gets all clients: nothing is shared.)
inline std::optional<explanation> explain_shared_port(const std::vector<observed_socket>& sockets,
                                                      const bind_environment& environment) {
  const process* first = nullptr;
  const process* second = nullptr;
  bool udp = false;
  const auto serves = [&](const observed_socket& each) {
    const bool open = each.state == socket_state::listen || each.state == socket_state::unconn;
    const bool group = each.protocol == protocol::udp && environment.multicast &&
                       may_be_multicast(each.local.address);
    return open && !group && !each.owners.empty();
  };
  for (const observed_socket& a : sockets) {
    if (!serves(a)) continue;
    for (const observed_socket& b : sockets) {
      if (!serves(b)) continue;
      const process& x = a.owners.front();
      const process& y = b.owners.front();
      if (x.pid == y.pid || y.ours() || a.local.address != b.local.address) continue;
      // A socket that is bound to an interface gets what arrives there.
      if (a.interface_index != b.interface_index) continue;
      if (first != nullptr && (first->ours() || !x.ours())) continue;
      first = &x;
      second = &y;
      udp = a.protocol == protocol::udp;
    }
  }
  if (first == nullptr) return std::nullopt;
  const std::string both = name_of(*first) + " and " + name_of(*second);
  if (udp) {
    return explanation{cause::shared_silently,
                       both + " share one UDP address through " + datagrams_are_shared_by +
                           ": no bind fails, and each datagram reaches only one of them",
                       share_no_datagrams};
  }
  return explanation{cause::shared_silently,
                     both + " listen on one port through " + clients_are_shared_by +
                         ": no bind fails, and each server gets some of the other's clients",
                     share_no_clients};
}

/// A bind that was refused for another reason than a socket in the way.
inline explanation explain_refusal(const bind_request& request, const std::error_code& error,
                                   const bind_environment& environment) {
  if (auto special = system_refusal(request, error, environment)) return std::move(*special);
  const ip_address& address = request.local.address;
  if (error == std::errc::address_not_available) {
    const bool six = address.is_v6() && !address.unmapped().is_v4();
    const std::string why =
        std::string{"not in use: no interface of "} + this_network + " has the address " +
        // Brackets: a word that begins with "::" would be a command to some CI systems.
        (address.is_v6() ? '[' + to_string(address) + ']' : to_string(address));
    if (environment.has_address) {
      return {cause::address_not_local,
              "not in use: an interface has the address " + to_string(address) +
                  ", but not one that the sockets of this process may use" +
                  where_sockets_are_apart,
              leave_apart};
    }
    const std::string lists =
        std::string{"bind an address of this machine ("} + list_addresses + ')';
    if (six && address == *parse_address("::1")) {
      return {cause::address_not_local, why + ": IPv6 is off here" + where_ipv6_is_off,
              std::string{"bind 127.0.0.1, or "} + switch_ipv6_on};
    }
    if (six) {
      return {cause::address_not_local,
              why + ", or only as a tentative one, which is being checked for duplicates",
              lists + "; " + wait_for_tentative};
    }
    return {cause::address_not_local, why,
            lists + ", or bring the interface up" + if_address_is_elsewhere};
  }
  const bool link_local =
      address.is_v6() && address.bytes()[0] == 0xfeU && (address.bytes()[1] & 0xc0U) == 0x80U;
  if (error == std::errc::invalid_argument && link_local && address.scope_id() == 0) {
    return {cause::refused,
            "not in use: " + to_string(address) +
                " is a link-local address, of which each interface may have the same",
            "name the interface, as in [" + to_string(address) +
                "%2]:" + std::to_string(request.local.port) + " (its number, as in " +
                list_interfaces + ')'};
  }
  return {cause::refused, "not in use: the system answers \"" + error.message() + '"', bind_says};
}

/// A bind to port 0 that fails: there is no port left to choose.
inline explanation explain_exhaustion(const port_range& ephemeral) {
  return {
      cause::ports_exhausted,
      "every port of the ephemeral range " + std::to_string(ephemeral.first) + '-' +
          std::to_string(ephemeral.last) + " is in use on this address",
      std::string{"`tidewait why 0` shows by which processes; close what they leave open, or "} +
          widen_port_range};
}

/// The loopback interface of a new network namespace is down until somebody brings it up.
inline explanation explain_loopback_down() {
  return {cause::loopback_down,
          "the loopback interface is down in this network namespace: binds succeed, and no client "
          "on this machine can connect",
          "bring it up: `ip link set lo up`"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
