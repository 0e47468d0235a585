// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/genetlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/netlink_query.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

// linux/mptcp.h, which older headers do not have.
inline constexpr char mptcp_family[] = "mptcp_pm";
inline constexpr std::uint8_t mptcp_get_address = 3;  // MPTCP_PM_CMD_GET_ADDR
enum mptcp_attribute : int { mptcp_id = 2, mptcp_v4 = 3, mptcp_v6 = 4, mptcp_port = 5 };

/// An address on which the kernel itself listens for Multipath TCP, as it announces it to peers
/// (ip-mptcp(8), `signal`).
struct mptcp_endpoint {
  unsigned id = 0;
  endpoint local{};  ///< Port 0: it does not listen.
};

/// Reads the attributes of one answer to MPTCP_PM_CMD_GET_ADDR.
inline mptcp_endpoint parse_mptcp_endpoint(std::string_view attributes) {
  mptcp_endpoint found;
  for_each_attribute(attributes, [&](int, std::string_view nested) {
    for_each_attribute(nested, [&](int type, std::string_view value) {
      if (type == mptcp_id) found.id = number_of<std::uint8_t>(value);
      if (type == mptcp_port) found.local.port = number_of<std::uint16_t>(value);
      if (type == mptcp_v4) {
        found.local.address = ip_address{number_of<ip_address::v4_bytes>(value)};
      } else if (type == mptcp_v6) {
        found.local.address = ip_address{number_of<ip_address::v6_bytes>(value)};
      }
    });
  });
  return found;
}

/// Those of the calling thread's network namespace; none where the kernel has no Multipath TCP, or
/// tells them only to root.
inline std::vector<mptcp_endpoint> read_mptcp_endpoints() {
  struct {
    nlmsghdr header;
    genlmsghdr command;
    nlattr attribute;
    char name[(sizeof mptcp_family + NLA_ALIGNTO - 1) / NLA_ALIGNTO * NLA_ALIGNTO];
  } which{{sizeof which, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
          {CTRL_CMD_GETFAMILY, 1, 0},
          {sizeof(nlattr) + sizeof mptcp_family, CTRL_ATTR_FAMILY_NAME},
          {}};
  std::memcpy(which.name, mptcp_family, sizeof mptcp_family);
  std::uint16_t family = 0;
  ask_netlink(NETLINK_GENERIC, which, GENL_ID_CTRL, [&](std::string_view body) {
    if (body.size() < GENL_HDRLEN) return;
    for_each_attribute(body.substr(GENL_HDRLEN), [&](int type, std::string_view value) {
      if (type == CTRL_ATTR_FAMILY_ID) family = number_of<std::uint16_t>(value);
    });
  });
  std::vector<mptcp_endpoint> endpoints;
  if (family == 0) return endpoints;
  const struct {
    nlmsghdr header;
    genlmsghdr command;
  } all{{sizeof all, family, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {mptcp_get_address, 1, 0}};
  ask_netlink(NETLINK_GENERIC, all, family, [&](std::string_view body) {
    if (body.size() < GENL_HDRLEN) return;
    const mptcp_endpoint found = parse_mptcp_endpoint(body.substr(GENL_HDRLEN));
    if (found.local.port != 0) endpoints.push_back(found);
  });
  return endpoints;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
