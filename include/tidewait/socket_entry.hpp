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
#include <tidewait/socket_state.hpp>

namespace tidewait {
inline namespace v0 {

struct bind_record;  // <tidewait/bind.hpp>

/// One socket as the kernel's tables have it, as a value: facts of the kernel and nothing else.
struct socket_entry {
  tidewait::protocol protocol = protocol::tcp;  ///< TCP or UDP.
  socket_state state = socket_state::unconn;    ///< Its state, as netstat names it.
  endpoint local{};                             ///< Its own end.
  endpoint remote{};                            ///< Port 0 if there is no peer.
  std::uint64_t cookie =
      0;  ///< The kernel's name of the socket (SO_COOKIE), kept in TIME_WAIT; 0: not known.
  /// What /proc/PID/fd shows; 0: no process holds the socket. On Windows the pid of the holder; 0:
  /// none, or not known.
  std::uint32_t inode = 0;
  std::uint32_t uid = 0;  ///< Of the process that made it; 0 in TIME_WAIT, and on Windows.
  std::uint32_t interface_index = 0;  ///< SO_BINDTODEVICE; 0: any interface.
  /// IPV6_V6ONLY; nothing where it is not known (IPv4, /proc, kernel before 4.6).
  std::optional<bool> v6only{};
  /// Until the kernel frees the socket by itself (TIME_WAIT, orphaned FIN_WAIT2).
  std::optional<std::chrono::milliseconds> time_left{};
  /// Bytes not yet read; of a listener: connections to accept. 0 on Windows, which does not tell.
  std::uint32_t receive_queue = 0;
  /// Bytes not yet acknowledged; of a listener: the backlog. 0 on Windows, which does not tell.
  std::uint32_t send_queue = 0;

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
