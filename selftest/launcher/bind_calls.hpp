// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>

#include "../support/sockets.hpp"
#include "witness_harness.hpp"

/// Calls as programs make them, for tests of who watches them.
namespace witness {

/// One call of bind(2) as a program makes it; its errno, 0 if it succeeded.
inline int try_bind(int fd, std::uint16_t port, const char* host = "127.0.0.1") {
  const sockaddr_in where = sockets::address(port, host);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ? 0 : errno;
}

inline int tcp_socket(int option = 0) {
  const int fd = sockets::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  if (option != 0) ::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
  return fd;
}

/// Each with a blank behind it. A list, since its parts are evaluated in order.
inline std::string numbers(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += std::to_string(value) + ' ';
  return text;
}
inline std::string number(int value) { return numbers({value}); }

inline std::string own_name() {
  std::array<char, 16> name{};
  ::prctl(PR_GET_NAME, name.data());
  return name.data();
}

}  // namespace witness
