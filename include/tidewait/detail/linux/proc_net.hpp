// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "0100007F:1F90": each 32-bit word of the address in the machine's byte order, as
/// `get_tcp4_sock` in net/ipv4/tcp_ipv4.c prints it with %08X.
inline std::optional<endpoint> parse_proc_endpoint(std::string_view text) noexcept {
  const auto colon = text.find(':');
  if (colon != 8 && colon != 32) return std::nullopt;
  std::string_view digits = text.substr(colon + 1);
  const auto port = take_number(digits, 65535, 16);
  if (!port || !digits.empty()) return std::nullopt;
  ip_address::v6_bytes bytes{};
  for (std::size_t i = 0; i * 8 < colon; ++i) {
    std::string_view group = text.substr(i * 8, 8);
    const auto word = take_number(group, 0xffffffff, 16);
    if (!word || !group.empty()) return std::nullopt;
    std::memcpy(bytes.data() + i * 4, &*word, 4);
  }
  const auto number = static_cast<std::uint16_t>(*port);
  if (colon == 8) {
    return endpoint{ip_address{ip_address::v4_bytes{bytes[0], bytes[1], bytes[2], bytes[3]}},
                    number};
  }
  return endpoint{ip_address{bytes}, number};
}

/// Reads one line of /proc/net/tcp, tcp6, udp or udp6 (proc(5)); nothing if it is no such line.
/// What the file does not tell stays unknown: cookie, IPV6_V6ONLY, interface.
inline std::optional<socket_entry> parse_proc_net_line(std::string_view line, protocol which) {
  socket_entry entry;
  entry.protocol = which;
  if (const auto slot = take_word(line); slot.empty() || slot.back() != ':') return std::nullopt;
  const auto local = parse_proc_endpoint(take_word(line));
  const auto remote = parse_proc_endpoint(take_word(line));
  std::string_view word = take_word(line);
  const auto state = take_number(word, 12, 16);
  if (!local || !remote || !state || *state == 0 || !word.empty()) return std::nullopt;
  entry.local = *local;
  entry.remote = *remote;
  entry.state = *state == 12 ? socket_state::syn_recv : static_cast<socket_state>(*state);

  word = take_word(line);  // tx_queue:rx_queue
  const auto send_queue = take_number(word, 0xffffffff, 16);
  if (!send_queue || word.empty()) return std::nullopt;
  word.remove_prefix(1);
  const auto receive_queue = take_number(word, 0xffffffff, 16);
  word = take_word(line);  // timer:expires, in ticks of 1/100 s (USER_HZ)
  const auto timer = take_number(word, 0xff, 16);
  if (!receive_queue || !timer || word.empty()) return std::nullopt;
  word.remove_prefix(1);
  const auto ticks = take_number(word, 0xffffffff, 16);
  take_word(line);  // retransmits
  word = take_word(line);
  const auto uid = take_number(word, 0xffffffff);
  if (!ticks || !uid || !word.empty()) return std::nullopt;
  take_word(line);  // probes
  word = take_word(line);
  const auto inode = take_number(word, 0xffffffff);
  if (!inode || !word.empty()) return std::nullopt;
  entry.send_queue = *send_queue;
  entry.receive_queue = *receive_queue;
  entry.uid = *uid;
  entry.inode = *inode;
  if (which == protocol::tcp && *timer == 3) {
    entry.time_left = std::chrono::milliseconds{std::uint64_t{*ticks} * 10};
  }
  return entry;
}

/// Reads a whole file of /proc/net, heading included; lines that cannot be read are counted in
/// `unread` and passed over. Keeps the sockets for which `wanted(entry)` holds. `Socket`:
/// `socket_entry`, or one that is made of it.
template <typename Socket, typename Wanted>
void parse_proc_net(std::string_view text, protocol which, std::vector<Socket>& sockets,
                    std::size_t& unread, Wanted&& wanted) {
  take_line(text);  // the heading
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    auto entry = parse_proc_net_line(line, which);
    if (!entry) {
      ++unread;
    } else if (wanted(*entry)) {
      sockets.push_back(Socket{std::move(*entry)});
    }
  }
}

/// How many TCP sockets of some kind the network namespace has, "tw" for one: "TCP: inuse 3 orphan
/// 0 tw 12 …" of /proc/net/sockstat; nothing if the text is not that.
inline std::optional<std::uint32_t> parse_sockstat(std::string_view text,
                                                   std::string_view kind) noexcept {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (take_word(line) != "TCP:") continue;
    for (std::string_view key = take_word(line); !key.empty(); key = take_word(line)) {
      std::string_view value = take_word(line);
      if (key != kind) continue;
      const auto count = take_number(value, 0xffffffff);
      return value.empty() ? count : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
