// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/bind_socket.hpp>
#include <tidewait/port_lease.hpp>

/// Sockets in every state that there is, on leased ports of one loopback address.
class socket_zoo {
 public:
  using unique_fd = tidewait::detail::unique_fd;

  explicit socket_zoo(tidewait::ip_address loopback) : loopback_{loopback} {}

  std::uint16_t listen(int backlog = 1024) {
    const std::uint16_t port = lease();
    unique_fd fd = bind(tidewait::protocol::tcp, port);
    check(::listen(fd.get(), backlog), "listen");
    keep(std::move(fd));
    return port;
  }
  std::uint16_t bind_only() {
    const std::uint16_t port = lease();
    keep(bind(tidewait::protocol::tcp, port));
    return port;
  }
  std::uint16_t bind_udp() {
    const std::uint16_t port = lease();
    keep(bind(tidewait::protocol::udp, port));
    return port;
  }
  /// A UDP socket with a peer.
  void connect_udp(std::uint16_t to) {
    unique_fd fd = open(SOCK_DGRAM);
    check(connect(fd.get(), to), "connect UDP");
    keep(std::move(fd));
  }

  /// ESTABLISHED at both ends.
  void established() { keep(connected()); }
  /// ESTABLISHED at both ends, of which the listener's is held by nobody yet.
  std::uint16_t not_accepted() {
    const std::uint16_t port = listen();
    keep(client(port));
    return port;
  }
  /// FIN_WAIT2 here, CLOSE_WAIT there.
  void half_closed() {
    pair both = connected();
    ::shutdown(both.server.get(), SHUT_WR);
    keep(std::move(both));
  }
  /// TIME_WAIT on the server's port, which it returns.
  std::uint16_t time_wait() {
    pair both = connected();
    ::shutdown(both.server.get(), SHUT_WR);
    both.client.reset();
    return port_;
  }
  /// FIN_WAIT1 here, since the peer does not take what was sent before; ESTABLISHED there.
  void fin_wait1() {
    pair both = stuffed();
    ::shutdown(both.server.get(), SHUT_WR);
    keep(std::move(both));
  }
  /// CLOSING here: both ends have closed, and only the other's FIN has come through.
  void closing() {
    pair both = stuffed();
    ::shutdown(both.server.get(), SHUT_WR);
    ::shutdown(both.client.get(), SHUT_WR);
    keep(std::move(both));
  }
  /// LAST_ACK here: the other end closed first, and does not take what was sent.
  void last_ack() {
    pair both = stuffed();
    ::shutdown(both.client.get(), SHUT_WR);
    ::shutdown(both.server.get(), SHUT_WR);
    keep(std::move(both));
  }
  /// SYN_RECV at a listener that waits for data; ESTABLISHED at the client.
  void syn_recv() {
    const std::uint16_t port = lease();
    unique_fd fd = bind(tidewait::protocol::tcp, port);
    const int seconds = 30;
    check(::setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds),
          "TCP_DEFER_ACCEPT");
    check(::listen(fd.get(), 8), "listen");
    keep(std::move(fd));
    keep(client(port));
  }
  /// SYN_SENT to a listener whose backlog is full.
  void syn_sent() {
    const std::uint16_t port = listen(0);
    keep(client(port));
    unique_fd fd = open(SOCK_STREAM | SOCK_NONBLOCK);
    connect(fd.get(), port);
    keep(std::move(fd));
  }

 private:
  struct pair {
    unique_fd client;
    unique_fd server;
  };

  static void check(int result, const char* what) {
    if (result < 0) throw std::system_error{errno, std::generic_category(), what};
  }
  // For both protocols, since a test asks for a number and would see the other's sockets, too.
  std::uint16_t lease() {
    leases_.push_back(tidewait::lease_port(tidewait::protocol_set::tcp_and_udp));
    return leases_.back().number();
  }
  unique_fd open(int type) const {
    return unique_fd{::socket(loopback_.is_v6() ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0)};
  }
  unique_fd bind(tidewait::protocol which, std::uint16_t port) const {
    std::error_code error;
    unique_fd fd =
        tidewait::detail::bind_socket({which, {loopback_, port}}, tidewait::reuse::address, error);
    if (error) throw std::system_error{error, "bind"};
    return fd;
  }
  int connect(int fd, std::uint16_t port) const {
    const tidewait::detail::socket_address where{{loopback_, port}};
    return ::connect(fd, where.get(), where.size);
  }
  unique_fd client(std::uint16_t port) const {
    unique_fd fd = open(SOCK_STREAM);
    const int small = 4096;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    check(connect(fd.get(), port), "connect");
    return fd;
  }
  pair connected() {
    if (port_ == 0) {
      port_ = listen();
      listener_ = kept_.back().get();
      const int small = 4096;  // inherited by what is accepted; the buffers are to fill up soon
      ::setsockopt(listener_, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    }
    pair both;
    both.client = client(port_);
    both.server = unique_fd{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)};
    check(both.server.get(), "accept");
    return both;
  }
  /// The same, the server having sent more than the client, which does not read, has room for.
  pair stuffed() {
    pair both = connected();
    const std::vector<char> bytes(65536);
    pollfd room{both.server.get(), POLLOUT, 0};
    constexpr int patience_ms = 20;
    while (::poll(&room, 1, patience_ms) == 1) {
      ::send(both.server.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return both;
  }
  void keep(unique_fd fd) { kept_.push_back(std::move(fd)); }
  void keep(pair both) {
    keep(std::move(both.client));
    keep(std::move(both.server));
  }

  tidewait::ip_address loopback_;
  std::vector<tidewait::port_lease> leases_;
  std::vector<unique_fd> kept_;
  std::uint16_t port_ = 0;  // of the listener that all connections share
  int listener_ = -1;
};
