// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

#include <tidewait/endpoint.hpp>
#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {

/// For which protocols a port number is leased.
enum class transport : std::uint8_t { tcp, udp, tcp_and_udp };

constexpr bool includes(transport set, protocol which) noexcept {
  return set == transport::tcp_and_udp || (set == transport::tcp) == (which == protocol::tcp);
}

/// What a look needs to know of a lease.
struct lease_note {
  std::uint16_t port = 0;
  transport kind = transport::tcp;
  source_location where;            ///< The line that leased it.
  std::uint64_t net_namespace = 0;  ///< Inode of the network namespace; 0: not known.
  std::uint64_t net_cookie = 0;     ///< The same, as its sockets name it (SO_NETNS_COOKIE).
  const void* thread = nullptr;     ///< Names the thread that leased it, within the process.
};

}  // namespace v0
}  // namespace tidewait
