// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// A snapshot of this network namespace's TCP and UDP sockets.
struct socket_table {
  std::vector<observed_socket> sockets{};  ///< One for each socket.
  visibility seen{};                       ///< How much could be seen.

  /// Reads the table. Steps down from sock_diag to /proc/net and says so in `seen`.
  /// Throws `observe_error` if neither can be read.
  [[nodiscard]] static socket_table current(const socket_query& query = {});
};

/// How many TIME_WAIT sockets this network namespace has (/proc/net/sockstat, some 10 µs).
/// Nothing if that cannot be read.
[[nodiscard]] std::optional<std::uint32_t> time_wait_count();

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/socket_table.hpp>
#endif
