// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <system_error>

#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {

/// A bind that somebody wants to make.
struct bind_request {
  protocol which = protocol::tcp;
  endpoint local;
  v6_only scope = v6_only::dual_stack;
};

/// The options of socket(7) that let a second socket onto an endpoint.
enum class reuse : std::uint8_t { none, address, port, address_and_port };

/// What the kernel answered to a bind; an empty error means that it succeeded.
struct bind_outcome {
  std::error_code plain;          ///< Without reuse options.
  std::error_code reuse_address;  ///< With SO_REUSEADDR.
  std::error_code reuse_port;     ///< With SO_REUSEPORT.
};

}  // namespace v0
}  // namespace tidewait
