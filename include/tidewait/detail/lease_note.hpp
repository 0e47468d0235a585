// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

#include <tidewait/endpoint.hpp>
#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {

/// What a look needs to know of a lease.
struct lease_note {
  std::uint16_t port = 0;
  protocol_set kind = protocol_set::tcp;
  source_location where{};          ///< The line that leased it.
  std::uint64_t net_namespace = 0;  ///< Inode of the network namespace; 0: not known.
  std::uint64_t net_cookie = 0;     ///< The same, as its sockets name it (SO_NETNS_COOKIE).
  const void* thread = nullptr;     ///< Names the thread that leased it, within the process.
};

}  // namespace v0
}  // namespace tidewait
