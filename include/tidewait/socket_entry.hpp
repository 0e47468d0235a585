// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {

struct bind_record;  // <tidewait/bind.hpp>

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

/// One socket as the kernel's tables have it, as a value: facts of the kernel and nothing else.
struct socket_entry {
  tidewait::protocol protocol = protocol::tcp;  ///< TCP or UDP.
  socket_state state = socket_state::unconn;    ///< Its state, as netstat names it.
  endpoint local{};                             ///< Its own end.
  endpoint remote{};                            ///< Port 0 if there is no peer.
  std::uint64_t cookie =
      0;  ///< The kernel's name of the socket (SO_COOKIE), kept in TIME_WAIT; 0: not known.
  /// What /proc/PID/fd shows, on Windows the pid of the holder; 0: no process holds the socket.
  std::uint32_t inode = 0;
  std::uint32_t uid = 0;              ///< Of the process that made it; 0 in TIME_WAIT.
  std::uint32_t interface_index = 0;  ///< SO_BINDTODEVICE; 0: any interface.
  /// IPV6_V6ONLY; nothing where it is not known (IPv4, /proc, kernel before 4.6).
  std::optional<bool> v6only{};
  /// Until the kernel frees the socket by itself (TIME_WAIT, orphaned FIN_WAIT2).
  std::optional<std::chrono::milliseconds> time_left{};
  std::uint32_t receive_queue = 0;  ///< Bytes not yet read; of a listener: connections to accept.
  std::uint32_t send_queue = 0;     ///< Bytes not yet acknowledged; of a listener: the backlog.

  /// IPV6_V6ONLY as the request for a bind has it; unknown counts as no.
  tidewait::ipv6_only ipv6_only() const noexcept {
    return v6only.value_or(false) ? ipv6_only::yes : ipv6_only::no;
  }
};

/// Who holds a socket, and if nobody is named, why not.
enum class ownership : std::uint8_t {
  not_searched,  ///< Nobody asked.
  found,         ///< `owners` names every holder that was found.
  kernel,     ///< None by nature: the kernel keeps the socket (TIME_WAIT, orphaned closing states).
  ownerless,  ///< All processes were visible and none holds it: `keeper` may say what does.
  outside,    ///< The same in a pid namespace: a process outside of it may hold the socket.
  hidden,     ///< Not all processes were visible; one that is not may hold it.
};

/// What keeps a socket open that no descriptor stands for.
enum class keeper_kind : std::uint8_t {
  thread,    ///< A thread waits in a system call on a descriptor that was closed meanwhile.
  io_uring,  ///< A request or a registered file of an io_uring (io_uring(7)).
  message,   ///< It is on its way to a process: sent with SCM_RIGHTS (unix(7)), and not received.
  kernel,    ///< A network interface of the kernel's own, such as a VXLAN tunnel.
  mptcp,     ///< An endpoint of the kernel's own for Multipath TCP (ip-mptcp(8)).
};

/// One keeper, as it was found.
struct socket_keeper {
  keeper_kind kind = keeper_kind::thread;  ///< What keeps the socket.
  process who;       ///< In `thread` the thread, in `fds` the io_uring or the Unix socket.
  std::string what;  ///< The system call, such as "accept()", or the name of the interface.
};

/// A socket and what a look found out about it.
struct observed_socket : socket_entry {
  ownership owned = ownership::not_searched;  ///< Whether its holders were found.
  std::vector<process> owners{};  ///< Every holder that was found, the caller's own process first.
  std::optional<socket_keeper> keeper{};  ///< If no process holds it, and what does was found.
  /// Those that hold the other end of a connection that only the kernel has, on this machine.
  std::vector<process> peers{};
  std::string interface_name{};  ///< Of `interface_index`, as a diagnosis names it; may be empty.
  std::string test{};            ///< The other test whose socket it is, if that is known.
  bool left_behind = false;      ///< That test has ended and left it behind.
  /// The bind of the socket, or of the listener whose connection it was; null: not witnessed.
  std::shared_ptr<const bind_record> bound{};
};

}  // namespace v0
}  // namespace tidewait
