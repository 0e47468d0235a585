// SPDX-License-Identifier: BSL-1.0
#pragma once

// <linux/inet_diag.h> and <linux/netlink.h>: see sock_diag(7), netlink(7).
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What one datagram of a dump said about the dump.
struct dump_progress {
  enum class step : std::uint8_t {
    more,       ///< Entries; the dump goes on.
    done,       ///< The end of the dump.
    refused,    ///< The kernel's error, in `error`.
    malformed,  ///< Not what netlink(7) says it is.
  };
  step next = step::more;
  bool interrupted = false;  ///< NLM_F_DUMP_INTR: the table changed meanwhile, ask again.
  int error = 0;
};

inline ip_address address_of(const __be32 (&words)[4], bool v6, std::uint32_t interface_index) {
  ip_address::v6_bytes bytes{};
  std::memcpy(bytes.data(), words, sizeof words);
  if (!v6) return ip_address{ip_address::v4_bytes{bytes[0], bytes[1], bytes[2], bytes[3]}};
  const bool link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80U;
  return ip_address{bytes, link_local ? interface_index : 0};
}

/// Reads one `inet_diag_msg` and its attributes; false if it is none.
inline bool parse_inet_diag_msg(std::string_view body, protocol which, socket_entry& entry) {
  inet_diag_msg msg;
  if (body.size() < sizeof msg) return false;
  std::memcpy(&msg, body.data(), sizeof msg);
  const bool v6 = msg.idiag_family == AF_INET6;
  if (!v6 && msg.idiag_family != AF_INET) return false;
  constexpr std::uint8_t new_syn_recv = 12;  // TCP_NEW_SYN_RECV, include/net/tcp_states.h
  const bool known =
      msg.idiag_state < 32 && state_set::all().contains(static_cast<socket_state>(msg.idiag_state));
  if (!known && msg.idiag_state != new_syn_recv) return false;

  entry = socket_entry{};
  entry.protocol = which;
  entry.state = static_cast<socket_state>(msg.idiag_state);
  entry.local = {address_of(msg.id.idiag_src, v6, msg.id.idiag_if), ntohs(msg.id.idiag_sport)};
  entry.remote = {address_of(msg.id.idiag_dst, v6, msg.id.idiag_if), ntohs(msg.id.idiag_dport)};
  entry.cookie = static_cast<std::uint64_t>(msg.id.idiag_cookie[1]) << 32U | msg.id.idiag_cookie[0];
  entry.inode = msg.idiag_inode;
  entry.uid = msg.idiag_uid;
  entry.interface_index = msg.id.idiag_if;
  entry.receive_queue = msg.idiag_rqueue;
  entry.send_queue = msg.idiag_wqueue;
  // A bound TCP socket is asked for as state 13 and comes back as CLOSE; a connection that is being
  // made may come as TCP_NEW_SYN_RECV, which is SYN_RECV for everybody else.
  if (which == protocol::tcp && entry.state == socket_state::unconn)
    entry.state = socket_state::bound;
  if (msg.idiag_state == new_syn_recv) entry.state = socket_state::syn_recv;
  constexpr std::uint8_t time_wait_timer = 3;
  if (msg.idiag_timer == time_wait_timer) {
    entry.time_left = std::chrono::milliseconds{msg.idiag_expires};
  }
  for (std::string_view rest = body.substr(NLMSG_ALIGN(sizeof msg));
       rest.size() >= sizeof(nlattr);) {
    nlattr attribute;
    std::memcpy(&attribute, rest.data(), sizeof attribute);
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > rest.size()) break;
    if (attribute.nla_type == INET_DIAG_SKV6ONLY && attribute.nla_len > sizeof(nlattr)) {
      entry.v6only = rest[sizeof(nlattr)] != 0;
    }
    rest.remove_prefix(std::min<std::size_t>(rest.size(), NLA_ALIGN(attribute.nla_len)));
  }
  return true;
}

/// Reads one datagram of a sock_diag dump. `read_socket(body)` gets the body of each message about
/// a socket; false if it is none. Messages of another sequence number are an older dump's and are
/// passed over.
template <typename Read>
dump_progress parse_diag(std::string_view bytes, std::uint32_t sequence, Read&& read_socket) {
  using step = dump_progress::step;
  dump_progress progress;
  while (!bytes.empty()) {
    nlmsghdr header;
    if (bytes.size() < sizeof header) return {step::malformed, progress.interrupted, 0};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > bytes.size()) {
      return {step::malformed, progress.interrupted, 0};
    }
    const std::string_view body =
        bytes.substr(NLMSG_HDRLEN, header.nlmsg_len - static_cast<std::size_t>(NLMSG_HDRLEN));
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), NLMSG_ALIGN(header.nlmsg_len)));
    if (header.nlmsg_seq != sequence) continue;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) progress.interrupted = true;
    switch (header.nlmsg_type) {
      case NLMSG_NOOP: break;
      case NLMSG_DONE:
      case NLMSG_ERROR: {
        // Both start with an int: 0, or a negative errno.
        int error = 0;
        if (body.size() >= sizeof error) std::memcpy(&error, body.data(), sizeof error);
        if (header.nlmsg_type == NLMSG_ERROR && body.size() < sizeof error) {
          return {step::malformed, progress.interrupted, 0};
        }
        constexpr int most_errno = 4095;  // MAX_ERRNO in include/linux/err.h
        if (error < -most_errno) return {step::malformed, progress.interrupted, 0};
        if (error < 0) return {step::refused, progress.interrupted, -error};
        progress.next = step::done;
        return progress;
      }
      case SOCK_DIAG_BY_FAMILY:
        if (!read_socket(body)) return {step::malformed, progress.interrupted, 0};
        break;
      default: break;
    }
  }
  return progress;
}

/// Reads one datagram of an inet_diag dump and hands each socket to `sink(socket_entry&&)`.
template <typename Sink>
dump_progress parse_dump(std::string_view bytes, std::uint32_t sequence, protocol which,
                         Sink&& sink) {
  socket_entry entry;
  return parse_diag(bytes, sequence, [&](std::string_view body) {
    if (!parse_inet_diag_msg(body, which, entry)) return false;
    sink(std::move(entry));
    return true;
  });
}

/// A filter program for the kernel (INET_DIAG_REQ_BYTECODE, `inet_diag_bc_run` in
/// net/ipv4/inet_diag.c): the local port is one of `ports`, which are sorted. Empty if there are
/// too many for a program; the caller filters in any case.
inline std::vector<inet_diag_bc_op> port_filter(const std::vector<std::uint16_t>& ports) {
  struct span {
    std::uint16_t first, last;
  };
  std::vector<span> spans;
  for (const std::uint16_t port : ports) {
    if (!spans.empty() && port <= spans.back().last + 1) {
      spans.back().last = port;
    } else {
      spans.push_back({port, port});
    }
  }
  // Per span: S_GE first, S_LE last (each with its operand), then a jump to the end.
  constexpr std::size_t op = sizeof(inet_diag_bc_op);
  constexpr std::size_t per_span = 5 * op;
  constexpr std::size_t most_spans = 3000;  // a jump is 16 bits wide
  if (spans.size() > most_spans) return {};
  std::vector<inet_diag_bc_op> program;
  program.reserve(spans.size() * 5);
  std::size_t left = spans.size() * per_span;
  const auto emit = [&](unsigned char code, unsigned char yes, std::size_t no) {
    program.push_back({code, yes, static_cast<unsigned short>(no)});
  };
  for (const span& each : spans) {
    const bool last = left == per_span;
    // A jump of 4 bytes past the end rejects; exactly to the end accepts.
    emit(INET_DIAG_BC_S_GE, 2 * op, last ? left + op : per_span);
    emit(0, 0, each.first);
    emit(INET_DIAG_BC_S_LE, 2 * op, last ? left - 2 * op + op : per_span - 2 * op);
    emit(0, 0, each.last);
    emit(INET_DIAG_BC_JMP, op, left - 4 * op);
    left -= per_span;
  }
  return program;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
