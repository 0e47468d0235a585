// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

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

/// The value of an attribute that is a number, in the machine's order; 0 if it is too short.
template <typename Number>
Number number_of(std::string_view value) noexcept {
  Number number{};
  if (value.size() >= sizeof number) std::memcpy(&number, value.data(), sizeof number);
  return number;
}

/// Asks the kernel one question (netlink(7)), which begins with an `nlmsghdr` that has
/// NLM_F_DUMP or NLM_F_ACK set, and hands what follows the header of each answer of that type to
/// `each`. Any other message is the last one. No answer where the kernel gives none.
template <typename Question, typename Each>
void ask_netlink(int family, const Question& question, int answer, Each&& each) {
  const unique_fd fd{sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family)};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (!fd || sys.sendto(fd.get(), &question, sizeof question, 0,
                        reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return;
  }
  std::vector<char> room(32768);
  for (;;) {
    const ssize_t got = sys.recv(fd.get(), room.data(), room.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    std::string_view bytes{room.data(), static_cast<std::size_t>(got)};
    while (bytes.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, bytes.data(), sizeof header);
      if (header.nlmsg_type != answer || header.nlmsg_len > bytes.size() ||
          header.nlmsg_len < NLMSG_HDRLEN) {
        return;
      }
      each(bytes.substr(NLMSG_HDRLEN, header.nlmsg_len - static_cast<std::size_t>(NLMSG_HDRLEN)));
      bytes.remove_prefix(std::min<std::size_t>(bytes.size(), NLMSG_ALIGN(header.nlmsg_len)));
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
