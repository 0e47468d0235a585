// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>

#include <tidewait/detail/linux/bind_socket.hpp>

/// Plain sockets for tests that need one in a certain state.
namespace sockets {

using tidewait::endpoint;
using tidewait::ip_address;
using tidewait::protocol;
using tidewait::reuse;
using tidewait::detail::unique_fd;

inline constexpr ip_address loopback{ip_address::v4_bytes{127, 0, 0, 1}};

/// Binds; none and the error if that fails.
inline unique_fd bound(std::uint16_t port, std::error_code& error, reuse options = reuse::none,
                       ip_address address = loopback, protocol which = protocol::tcp) {
  return tidewait::detail::bind_socket({which, {address, port}}, options, error);
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
inline std::error_code connect_to(std::uint16_t port) {
  const unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const tidewait::detail::socket_address where{{loopback, port}};
  return ::connect(fd.get(), where.get(), where.size) == 0 ? std::error_code{}
                                                           : tidewait::detail::last_error();
}

}  // namespace sockets
