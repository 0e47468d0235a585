// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidewait {
inline namespace v0 {

/// The state of a socket, numbered as the kernel numbers it (include/net/tcp_states.h; RFC 9293).
enum class socket_state : std::uint8_t {
  established = 1,  ///< Of a UDP socket: connected, so a client.
  syn_sent = 2,
  syn_recv = 3,
  fin_wait1 = 4,
  fin_wait2 = 5,
  time_wait = 6,   ///< This side closed first; the port stays taken for a minute.
  unconn = 7,      ///< UDP: bound and not connected.
  close_wait = 8,  ///< The peer has closed, this side has not.
  last_ack = 9,
  listen = 10,
  closing = 11,
  bound = 13,  ///< TCP, bound to a port and neither listening nor connected (Linux 6.8 shows it).
};

/// The name as netstat prints it ("TIME_WAIT"); "BOUND" for a bound socket that does not listen.
inline std::string_view to_string(socket_state state) noexcept {
  switch (state) {
    case socket_state::established: return "ESTABLISHED";
    case socket_state::syn_sent: return "SYN_SENT";
    case socket_state::syn_recv: return "SYN_RECV";
    case socket_state::fin_wait1: return "FIN_WAIT1";
    case socket_state::fin_wait2: return "FIN_WAIT2";
    case socket_state::time_wait: return "TIME_WAIT";
    case socket_state::unconn: return "UNCONN";
    case socket_state::close_wait: return "CLOSE_WAIT";
    case socket_state::last_ack: return "LAST_ACK";
    case socket_state::listen: return "LISTEN";
    case socket_state::closing: return "CLOSING";
    case socket_state::bound: return "BOUND";
  }
  return "UNKNOWN";
}

/// Every state there is, in the kernel's order.
inline constexpr socket_state all_socket_states[] = {
    socket_state::established, socket_state::syn_sent,   socket_state::syn_recv,
    socket_state::fin_wait1,   socket_state::fin_wait2,  socket_state::time_wait,
    socket_state::unconn,      socket_state::close_wait, socket_state::last_ack,
    socket_state::listen,      socket_state::closing,    socket_state::bound};

/// Reads a name in either case, with '_' or '-' ("time_wait", "TIME-WAIT"); nothing if it is none.
inline std::optional<socket_state> parse_socket_state(std::string_view text) noexcept {
  const auto same = [text](std::string_view name) {
    if (name.size() != text.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      char c = text[i];
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      if (c == '-') c = '_';
      if (c != name[i]) return false;
    }
    return true;
  };
  for (const socket_state state : all_socket_states) {
    if (same(to_string(state))) return state;
  }
  return std::nullopt;
}

/// A set of socket states, as a bit mask in the kernel's numbering.
class state_set {
 public:
  constexpr state_set() noexcept = default;
  /// The set of that one state.
  constexpr state_set(socket_state state) noexcept  // NOLINT: a state is a set of one
      : bits_{1U << static_cast<unsigned>(state)} {}

  /// Every state.
  static constexpr state_set all() noexcept {
    state_set set;
    for (const socket_state state : all_socket_states) set = set | state;
    return set;
  }
  /// Whether `state` is in it.
  constexpr bool contains(socket_state state) const noexcept {
    return (bits_ & state_set{state}.bits_) != 0;
  }
  /// Whether no state is in it.
  constexpr bool empty() const noexcept { return bits_ == 0; }
  /// One bit for each state, by the kernel's numbers (idiag_states, sock_diag(7)).
  constexpr std::uint32_t bits() const noexcept { return bits_; }
  friend constexpr state_set operator|(state_set a, state_set b) noexcept {
    a.bits_ |= b.bits_;
    return a;
  }
  friend constexpr state_set operator&(state_set a, state_set b) noexcept {
    a.bits_ &= b.bits_;
    return a;
  }
  friend constexpr state_set operator-(state_set a, state_set b) noexcept {
    a.bits_ &= ~b.bits_;
    return a;
  }

 private:
  std::uint32_t bits_ = 0;
};

/// The set of both.
constexpr state_set operator|(socket_state a, socket_state b) noexcept {
  return state_set{a} | state_set{b};
}

}  // namespace v0
}  // namespace tidewait
