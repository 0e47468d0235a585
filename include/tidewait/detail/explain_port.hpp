// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/explain_socket.hpp>
#include <tidewait/detail/explain_time_wait.hpp>

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

/// Explains what stands in the way, and hands each explanation to `add`.
template <typename Add>
void explain_sockets(const std::vector<observed_socket>& sockets, const bind_request& request,
                     const bind_outcome& outcome, const bind_environment& environment, Add&& add) {
  const bool served = is_served(sockets);
  for (const socket_group& group : grouped(sockets)) {
    const bool holder = is_holder(group.first);
    add(holder ? explain_holder(group.first, environment)
               : explain_connection(group, environment, served));
    if (holder && group.first.local.address.unmapped() != request.local.address.unmapped()) {
      add(explain_cover(group.first.local, request.local));
    }
  }
  explain_time_waits(sockets, outcome, environment, add);
}

/// Whether datagrams to this address go to every socket that has joined the group.
inline bool may_be_multicast(const ip_address& address) noexcept {
  const ip_address plain = address.unmapped();
  return plain.is_wildcard() ||
         (plain.is_v4() ? plain.bytes()[0] >> 4U == 0xeU : plain.bytes()[0] == 0xffU);
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
                       both +
                           " share one UDP address through SO_REUSEADDR or SO_REUSEPORT: no bind "
                           "fails, and each datagram reaches only one of them",
                       "set neither option on a test's UDP socket; lease the port"};
  }
  return explanation{cause::shared_silently,
                     both +
                         " listen on one port through SO_REUSEPORT: no bind fails, and each "
                         "answers some of the other's clients",
                     "do not set SO_REUSEPORT on a test server; lease the port"};
}

/// EACCES and EPERM where no port is privileged: what is active and may have refused the bind.
inline explanation explain_denial(const bind_request& request, const std::error_code& error,
                                  const bind_environment& environment) {
  const std::string port = std::to_string(request.local.port);
  std::vector<std::string> list = environment.restrictions;
  if (error == std::errc::operation_not_permitted) {
    // SELinux, AppArmor and Landlock answer EACCES.
    list.erase(std::remove_if(list.begin(), list.end(),
                              [](const std::string& each) { return each != "seccomp"; }),
               list.end());
    list.emplace_back("a BPF program of the cgroup");
  }
  const std::string what = joined(list, ", ");
  std::string why = "not in use: the system answers \"" + error.message() + "\"";
  const auto active = [&](std::string_view name) { return what.find(name) != std::string::npos; };
  if (what.empty()) {
    return {cause::refused,
            why + ", as a sandbox, a security module or a BPF program of the cgroup does",
            "see bind(2), and the kernel's log (dmesg) for a denial"};
  }
  std::vector<std::string> fixes;
  if (active("SELinux")) {
    fixes.push_back(
        "`ausearch -m avc -ts recent` shows a denial by SELinux (`semanage port -a` "
        "permits the port)");
  }
  if (active("AppArmor")) fixes.push_back("`dmesg | grep DENIED` shows one by AppArmor");
  if (active("Landlock")) {
    fixes.push_back("a Landlock sandbox has to permit the port (LANDLOCK_ACCESS_NET_BIND_TCP)");
  }
  if (active("seccomp")) fixes.push_back("a seccomp filter has to permit bind(2)");
  if (active("BPF")) fixes.push_back("`bpftool cgroup tree` lists the programs of the cgroup");
  return {cause::refused, why + "; what may refuse a bind to port " + port + " here: " + what,
          joined(fixes, "; ")};
}

/// A bind that was refused for another reason than a socket in the way.
inline explanation explain_refusal(const bind_request& request, const std::error_code& error,
                                   const bind_environment& environment) {
  const port_rules& rules = environment.rules;
  const bool denied =
      error == std::errc::permission_denied || error == std::errc::operation_not_permitted;
  if (denied && request.local.port < rules.unprivileged_start && request.local.port != 0) {
    return {cause::privileged_port,
            "not in use: ports below " + std::to_string(rules.unprivileged_start) +
                " need a right (net.ipv4.ip_unprivileged_port_start)",
            "use a port from " + std::to_string(rules.unprivileged_start) +
                " on, or give the program CAP_NET_BIND_SERVICE"};
  }
  if (denied) return explain_denial(request, error, environment);
  const ip_address& address = request.local.address;
  if (error == std::errc::address_not_available) {
    const bool six = address.is_v6() && !address.unmapped().is_v4();
    const std::string why =
        "not in use: no interface of this network namespace has the address " +
        // Brackets: a word that begins with "::" would be a command to some CI systems.
        (address.is_v6() ? '[' + to_string(address) + ']' : to_string(address));
    const std::string lists = "bind an address of this machine (`ip address` lists them)";
    if (six && address == *parse_address("::1")) {
      return {cause::address_not_local, why + ": IPv6 is off here, as it is in many containers",
              "bind 127.0.0.1, or set net.ipv6.conf.all.disable_ipv6=0 (docker run --sysctl)"};
    }
    if (six) {
      return {
          cause::address_not_local,
          why + ", or only as a tentative one, which is being checked for duplicates",
          lists + "; wait until it is not \"tentative\" there any more, or add it with `nodad`"};
    }
    return {cause::address_not_local, why, lists + ", or bring the interface up"};
  }
  const bool link_local =
      address.is_v6() && address.bytes()[0] == 0xfeU && (address.bytes()[1] & 0xc0U) == 0x80U;
  if (error == std::errc::invalid_argument && link_local && address.scope_id() == 0) {
    return {cause::refused,
            "not in use: " + to_string(address) +
                " is a link-local address, of which each interface may have the same",
            "name the interface, as in [" + to_string(address) +
                "%2]:" + std::to_string(request.local.port) + " (its number, as in `ip link`)"};
  }
  return {cause::refused, "not in use: the system answers \"" + error.message() + '"',
          "see bind(2) for what this error means here"};
}

/// A bind to port 0 that fails: there is no port left to choose.
inline explanation explain_exhaustion(const port_range& ephemeral) {
  return {cause::ports_exhausted,
          "every port of the ephemeral range " + std::to_string(ephemeral.first) + '-' +
              std::to_string(ephemeral.last) + " is in use on this address",
          "`tidewait why 0` shows by which processes; close what they leave open, or widen "
          "net.ipv4.ip_local_port_range"};
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
