// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

// Programs that know nothing of tidewait do not have its headers.
#if __has_include(<tidewait/detail/linux/bind_socket.hpp>)
#include <tidewait/detail/linux/bind_socket.hpp>
#define SELFTEST_HAS_TIDEWAIT
#endif

/// Plain sockets for tests that need one in a certain state, or a leak of a certain kind.
namespace sockets {

// Descriptors that nobody closes: errors are thrown.

inline int check(int result, const char* call) {
  if (result < 0) throw std::system_error{errno, std::system_category(), call};
  return result;
}

inline sockaddr_in address(std::uint16_t port, const char* host = "127.0.0.1") {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  ::inet_pton(AF_INET, host, &where.sin_addr);
  return where;
}

/// A bound socket; with SO_REUSEADDR, as servers set it, unless told otherwise.
inline int bind_to(std::uint16_t port, int type = SOCK_STREAM, bool reuse = true,
                   const char* host = "127.0.0.1") {
  const int fd = check(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  const int on = reuse ? 1 : 0;
  const sockaddr_in where = address(port, host);
  check(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), "bind");
  return fd;
}

inline int listen_on(std::uint16_t port, bool reuse = true, const char* host = "127.0.0.1") {
  const int fd = bind_to(port, SOCK_STREAM, reuse, host);
  check(::listen(fd, 16), "listen");
  return fd;
}

inline int connect_to(std::uint16_t port, const char* host = "127.0.0.1") {
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_in where = address(port, host);
  check(::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
  return fd;
}

/// Both ends of a connection: the client's, then the server's.
inline std::pair<int, int> connection(int listener, std::uint16_t port) {
  const int client = connect_to(port);
  const int server = check(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4");
  return {client, server};
}

/// Leaves a TIME_WAIT on the port: a connection that the server's side closes first.
inline void leave_time_wait(std::uint16_t port, bool reuse = true) {
  const int listener = listen_on(port, reuse);
  const std::pair<int, int> ends = connection(listener, port);
  ::close(ends.second);
  ::close(ends.first);
  ::close(listener);
}

#ifdef SELFTEST_HAS_TIDEWAIT
// Descriptors that close themselves.

using tidewait::endpoint;
using tidewait::ip_address;
using tidewait::protocol;
using tidewait::reuse;
using tidewait::detail::unique_fd;

inline constexpr ip_address loopback{ip_address::v4_bytes{127, 0, 0, 1}};

/// Binds; none and the error if that fails.
inline unique_fd bound(std::uint16_t port, std::error_code& error, reuse options = reuse::none,
                       ip_address address = loopback, protocol which = protocol::tcp) {
  return tidewait::detail::bind_socket({which, {address, port}}, options, error, false);
}

/// Binds and listens; none and the error if that fails.
inline unique_fd listening(std::uint16_t port, std::error_code& error, reuse options = reuse::none,
                           ip_address address = loopback) {
  unique_fd fd = bound(port, error, options, address);
  if (fd && ::listen(fd.get(), 16) != 0) {
    error = tidewait::detail::last_error();
    fd.reset();
  }
  return fd;
}

/// The same, throwing.
inline unique_fd listening(std::uint16_t port, reuse options = reuse::none) {
  std::error_code error;
  unique_fd fd = listening(port, error, options);
  if (error) throw std::system_error{error, "listening on port " + std::to_string(port)};
  return fd;
}

/// What a client gets that connects to the port.
inline std::error_code answer_to_client(std::uint16_t port) {
  const unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const sockaddr_in where = address(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0
             ? std::error_code{}
             : tidewait::detail::last_error();
}
#endif

}  // namespace sockets
