// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <tidewait/detail/os.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

struct socket_table;
namespace detail {
/// The table, whatever could be read of it: `seen.blind()` says whether it could look.
socket_table look_at_sockets(socket_query query);
}  // namespace detail

/// A snapshot of this network namespace's TCP and UDP sockets.
struct socket_table {
  std::vector<observed_socket> sockets{};  ///< One for each socket.
  visibility seen{};                       ///< How much could be seen.

  /// Reads the table. Steps down from sock_diag to /proc/net and says so in `seen`.
  /// Throws `observe_error` if neither can be read.
  [[nodiscard]] static socket_table current(const socket_query& query = {}) {
    socket_table table = detail::look_at_sockets(query);
    if (table.seen.blind()) {
      throw observe_error{errc::cannot_look, "looking at the sockets of this machine",
                          detail::joined(gaps(table.seen), "; ")};
    }
    return table;
  }
};

/// How many TIME_WAIT sockets this network namespace has (/proc/net/sockstat, some 10 µs).
/// Nothing if that cannot be read.
[[nodiscard]] inline std::optional<std::uint32_t> time_wait_count() { return detail::time_waits(); }

}  // namespace v0
}  // namespace tidewait

#include <tidewait/detail/look_at_sockets.hpp>
