// SPDX-License-Identifier: BSL-1.0
#pragma once

// <linux/unix_diag.h>: see sock_diag(7).
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The question for them: a message to sock_diag(7).
struct unix_question {
  explicit unix_question(unix_states states) noexcept
      : request{AF_UNIX, 0,     0, states == unix_states::listening ? 1U << listen : all,
                0,       shown, {}} {}

  nlmsghdr header{sizeof(unix_question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0};
  unix_diag_req request;

  // The kernel's states, include/net/tcp_states.h. It has none of its own for a bound socket: that
  // is CLOSE, with a name. A datagram socket to which some client has connected is ESTABLISHED.
  static constexpr unsigned established = 1;
  static constexpr unsigned close = 7;
  static constexpr unsigned listen = 10;
  static constexpr std::uint32_t all = 1U << established | 1U << close | 1U << listen;

  static constexpr std::uint32_t show_uid = 0x40;  // UDIAG_SHOW_UID, since Linux 5.3
  static constexpr std::uint32_t shown =
      UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN | show_uid;
};

/// Reads one `unix_diag_msg` and its attributes; nothing if it is none.
inline std::optional<unix_entry> parse_unix_diag_msg(std::string_view body) {
  unix_diag_msg msg;
  if (body.size() < sizeof msg) return std::nullopt;
  std::memcpy(&msg, body.data(), sizeof msg);
  if (msg.udiag_family != AF_UNIX) return std::nullopt;
  unix_entry entry;
  entry.kind = static_cast<unix_kind>(msg.udiag_type);
  if (entry.kind != unix_kind::datagram && entry.kind != unix_kind::seqpacket)
    entry.kind = unix_kind::stream;
  entry.state = msg.udiag_state == unix_question::listen ? socket_state::listen
                : msg.udiag_state == unix_question::established && entry.kind != unix_kind::datagram
                    ? socket_state::established
                    : socket_state::bound;
  entry.inode = msg.udiag_ino;
  entry.cookie = std::uint64_t{msg.udiag_cookie[1]} << 32U | msg.udiag_cookie[0];
  for (std::string_view rest =
           body.substr(std::min<std::size_t>(body.size(), NLMSG_ALIGN(sizeof msg)));
       rest.size() >= sizeof(nlattr);) {
    nlattr attribute;
    std::memcpy(&attribute, rest.data(), sizeof attribute);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > rest.size()) break;
    const std::string_view value = rest.substr(sizeof(nlattr), attribute.nla_len - sizeof(nlattr));
    const auto read = [value](auto& to) {
      if (value.size() < sizeof to) return false;
      std::memcpy(&to, value.data(), sizeof to);
      return true;
    };
    constexpr unsigned uid_attribute = 7;  // UNIX_DIAG_UID
    unix_diag_vfs file;
    unix_diag_rqlen queues;
    if (attribute.nla_type == UNIX_DIAG_NAME) {
      entry.name = value;
      // A path comes with the zero that ends it; in an abstract name a zero is a byte like others.
      if (!entry.is_abstract()) entry.name.resize(std::min(entry.name.find('\0'), value.size()));
    } else if (attribute.nla_type == UNIX_DIAG_VFS && read(file)) {
      constexpr unsigned minor_bits = 20;  // the kernel's own dev_t, include/linux/kdev_t.h
      entry.file_device =
          makedev(file.udiag_vfs_dev >> minor_bits, file.udiag_vfs_dev & ((1U << minor_bits) - 1));
      entry.file_inode = file.udiag_vfs_ino;
    } else if (attribute.nla_type == UNIX_DIAG_RQLEN && read(queues)) {
      entry.receive_queue = queues.udiag_rqueue;
      entry.send_queue = queues.udiag_wqueue;
    } else if (attribute.nla_type == uid_attribute) {
      entry.has_uid = read(entry.uid);
    }
    rest.remove_prefix(std::min<std::size_t>(rest.size(), NLA_ALIGN(attribute.nla_len)));
  }
  return entry;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
