// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/netlink_query.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A network interface that makes the kernel itself open a UDP socket.
struct tunnel {
  std::string name{};
  std::string kind{};      ///< "vxlan"
  std::uint16_t port = 0;  ///< 0: not told (WireGuard).
};

/// Reads the attributes of one RTM_NEWLINK (rtnetlink(7)); without a name if it is no tunnel.
inline tunnel parse_tunnel(std::string_view attributes) {
  tunnel found;
  std::string_view data;
  std::string name;
  for_each_attribute(attributes, [&](int type, std::string_view value) {
    if (type == IFLA_IFNAME) name = value.substr(0, value.find('\0'));
    if (type != IFLA_LINKINFO) return;
    for_each_attribute(value, [&](int inner, std::string_view text) {
      if (inner == IFLA_INFO_KIND) found.kind = text.substr(0, text.find('\0'));
      if (inner == IFLA_INFO_DATA) data = text;
    });
  });
  constexpr int bareudp_port = 1;  // IFLA_BAREUDP_PORT
  const int wanted = found.kind == "vxlan"     ? IFLA_VXLAN_PORT
                     : found.kind == "geneve"  ? IFLA_GENEVE_PORT
                     : found.kind == "bareudp" ? bareudp_port
                                               : -1;
  for_each_attribute(data, [&](int type, std::string_view value) {
    if (type != wanted || value.size() < 2) return;
    const auto high = static_cast<unsigned char>(value[0]);  // big-endian
    found.port = static_cast<std::uint16_t>((high << 8U) | static_cast<unsigned char>(value[1]));
  });
  if (found.port != 0 || found.kind == "wireguard") found.name = name;
  return found;
}

/// The tunnels of the calling thread's network namespace; none where the kernel does not answer.
inline std::vector<tunnel> read_tunnels() {
  const struct {
    nlmsghdr header;
    ifinfomsg body;
  } question{{sizeof question, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {}};
  std::vector<tunnel> tunnels;
  ask_netlink(NETLINK_ROUTE, question, RTM_NEWLINK, [&](std::string_view body) {
    constexpr std::size_t front = NLMSG_ALIGN(sizeof(ifinfomsg));
    if (body.size() < front) return;
    tunnel found = parse_tunnel(body.substr(front));
    if (!found.name.empty()) tunnels.push_back(std::move(found));
  });
  return tunnels;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
