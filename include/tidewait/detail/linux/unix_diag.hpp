// SPDX-License-Identifier: BSL-1.0
#pragma once

// <linux/unix_diag.h>: see sock_diag(7).
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A Unix socket that listens.
struct unix_listener {
  std::string name;  ///< All bytes of `sun_path`: an abstract name starts with a zero (unix(7)).
  std::uint32_t inode = 0;
  bool is_stream = false;
};

/// The question for all of them: a message to sock_diag(7).
struct unix_question {
  nlmsghdr header{sizeof(unix_question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0};
  unix_diag_req request{AF_UNIX, 0, 0, 1U << listen, 0, UDIAG_SHOW_NAME, {}};

 private:
  static constexpr unsigned listen = 10;  // TCP_LISTEN, include/net/tcp_states.h
};

/// Reads one `unix_diag_msg` and its attributes; nothing if it is none.
inline std::optional<unix_listener> parse_unix_diag_msg(std::string_view body) {
  unix_diag_msg msg;
  if (body.size() < sizeof msg) return std::nullopt;
  std::memcpy(&msg, body.data(), sizeof msg);
  if (msg.udiag_family != AF_UNIX) return std::nullopt;
  unix_listener listener;
  listener.inode = msg.udiag_ino;
  listener.is_stream = msg.udiag_type == SOCK_STREAM;
  for (std::string_view rest =
           body.substr(std::min<std::size_t>(body.size(), NLMSG_ALIGN(sizeof msg)));
       rest.size() >= sizeof(nlattr);) {
    nlattr attribute;
    std::memcpy(&attribute, rest.data(), sizeof attribute);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > rest.size()) break;
    if (attribute.nla_type == UNIX_DIAG_NAME)
      listener.name = rest.substr(sizeof(nlattr), attribute.nla_len - sizeof(nlattr));
    rest.remove_prefix(std::min<std::size_t>(rest.size(), NLA_ALIGN(attribute.nla_len)));
  }
  return listener;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
