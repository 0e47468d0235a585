// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A network interface that makes the kernel itself open a UDP socket.
struct tunnel {
  std::string name{};
  std::string kind{};      ///< "vxlan"
  std::uint16_t port = 0;  ///< 0: not told (WireGuard).
};

/// Hands each attribute of a netlink message to `each(type, value)`.
template <typename Each>
void for_each_attribute(std::string_view bytes, Each&& each) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, bytes.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes.size()) return;
    each(attribute.nla_type & NLA_TYPE_MASK,
         bytes.substr(sizeof attribute, attribute.nla_len - sizeof attribute));
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), NLA_ALIGN(attribute.nla_len)));
  }
}

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
  std::vector<tunnel> tunnels;
  const unique_fd fd{sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  struct {
    nlmsghdr header;
    ifinfomsg body;
  } question{{sizeof question, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {}};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (!fd || sys.sendto(fd.get(), &question, sizeof question, 0,
                        reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return tunnels;
  }
  std::vector<char> room(32768);
  for (;;) {
    const ssize_t got = sys.recv(fd.get(), room.data(), room.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return tunnels;
    std::string_view bytes{room.data(), static_cast<std::size_t>(got)};
    while (bytes.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, bytes.data(), sizeof header);
      if (header.nlmsg_type != RTM_NEWLINK || header.nlmsg_len > bytes.size()) return tunnels;
      constexpr std::size_t front = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(ifinfomsg));
      if (header.nlmsg_len < front) return tunnels;
      tunnel found = parse_tunnel(bytes.substr(front, header.nlmsg_len - front));
      if (!found.name.empty()) tunnels.push_back(std::move(found));
      bytes.remove_prefix(std::min<std::size_t>(bytes.size(), NLMSG_ALIGN(header.nlmsg_len)));
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
