// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string_view>

namespace tidewait {
inline namespace v0 {

/// The transport protocol of a port. TCP and UDP ports of one number are unrelated.
enum class protocol : std::uint8_t { tcp, udp };

/// "tcp" or "udp".
inline std::string_view to_string(protocol value) noexcept {
  return value == protocol::tcp ? "tcp" : "udp";
}

}  // namespace v0
}  // namespace tidewait
