// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/inet_diag.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Hears when sockets of this network namespace end: the kernel tells it to everybody who has
/// joined a group (SKNLGRP_INET_TCP_DESTROY and its like, linux/sock_diag.h), with no right needed.
/// It does not tell when a TIME_WAIT runs out, nor when a socket appears.
class socket_end_monitor {
 public:
  explicit socket_end_monitor(protocol which) noexcept
      : protocol_{which},
        fd_{sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG)} {
    sockaddr_nl own{};
    own.nl_family = AF_NETLINK;
    const bool tcp = which == protocol::tcp;
    own.nl_groups =
        tcp ? 1U << (SKNLGRP_INET_TCP_DESTROY - 1U) | 1U << (SKNLGRP_INET6_TCP_DESTROY - 1U)
            : 1U << (SKNLGRP_INET_UDP_DESTROY - 1U) | 1U << (SKNLGRP_INET6_UDP_DESTROY - 1U);
    if (fd_ && sys.bind(fd_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
      fd_.reset();
    }
  }

  /// Where it does not, `wait` only sleeps.
  bool hears() const noexcept { return static_cast<bool>(fd_); }

  /// Waits until a socket on that local port has ended, and returns true, or until so much time has
  /// passed. It may return true for nothing, where more ended than could be listened to.
  bool wait(std::uint16_t port, std::chrono::milliseconds most) {
    if (!fd_) {
      sleep_for(most);
      return false;
    }
    const auto until = steady_now() + most;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::microseconds>(until - steady_now()).count();
      timespec pause{};
      if (left > 0) pause = {static_cast<time_t>(left / 1000000), left % 1000000 * 1000};
      pollfd ready{fd_.get(), POLLIN, 0};
      const int got = ::ppoll(&ready, 1, &pause, nullptr);
      if (got > 0 && hear(port)) return true;
      if (got <= 0 && left <= 0) return false;
    }
  }

 private:
  /// Reads all that has been told.
  bool hear(std::uint16_t port) {
    bool heard = false;
    for (;;) {
      alignas(nlmsghdr) char bytes[8192];
      const ssize_t got = sys.recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return heard;
      if (got < 0 && errno == ENOBUFS) {
        // More than its queue could take. Until that is empty the kernel adds nothing, and says so
        // no second time (net/netlink/af_netlink.c, NETLINK_S_CONGESTED).
        heard = true;
        continue;
      }
      if (got <= 0) {
        fd_.reset();
        return true;  // the end of hearing
      }
      const auto said =
          parse_dump({bytes, static_cast<std::size_t>(got)}, 0, protocol_,
                     [&](socket_entry&& ended) { heard = heard || ended.local.port == port; });
      heard = heard || said.next != dump_progress::step::more;
    }
  }

  protocol protocol_;
  unique_fd fd_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
