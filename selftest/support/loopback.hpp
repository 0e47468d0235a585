// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <system_error>
#include <utility>

/// Plain sockets on 127.0.0.1 for tests that need a leak of a certain kind. Errors are thrown.
namespace loopback {

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
  const auto [client, server] = connection(listener, port);
  ::close(server);
  ::close(client);
  ::close(listener);
}

}  // namespace loopback
