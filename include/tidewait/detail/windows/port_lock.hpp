// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>

#include <tidewait/detail/windows/native_handle.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The lock of a port: a semaphore "Global\\tidewait/tcp/20111" whose count is the pid of its
/// maker. Whoever makes it has the lock; the system drops it with its last handle. (A mutex would
/// do the same, but keeps no number, and who has the lock could not be told.)
///
/// `address_in_use`: somebody else has it.
std::error_code take_lock(protocol which, std::uint16_t port, native_handle& lock);

template <typename Handle>
std::error_code open_lock(Handle&) {
  return {};
}
template <typename Handle>
std::error_code lock_port(protocol which, std::uint16_t port, Handle& lock) {
  native_handle made = no_handle;
  const std::error_code error = take_lock(which, port, made);
  if (!error) lock = Handle{unique_fd{made, handle_kind::object}};
  return error;
}

/// The pid that took the lock of a port; 0 if the lock is another user's, nothing if nobody has it.
/// A process that has inherited the lock does not show.
std::optional<int> lock_holder(protocol which, std::uint16_t port);

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
