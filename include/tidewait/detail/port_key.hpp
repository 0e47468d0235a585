// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A port number of one protocol.
struct port_key {
  tidewait::protocol protocol = protocol::tcp;
  std::uint16_t port = 0;

  friend bool operator==(const port_key& a, const port_key& b) noexcept {
    return a.protocol == b.protocol && a.port == b.port;
  }
};

inline bool contains(const std::vector<port_key>& ports, const port_key& port) noexcept {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

inline void add_port(std::vector<port_key>& ports, const port_key& port) {
  if (!contains(ports, port)) ports.push_back(port);
}

inline port_key key_of(const observed_socket& socket) noexcept {
  return {socket.protocol, socket.local.port};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
