// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {
/// The table, whatever could be read of it: `seen.blind()` says whether it could look.
socket_table look_at_sockets(socket_query query);
}  // namespace detail

TIDEWAIT_INLINE socket_table socket_table::current(const socket_query& query) {
  socket_table table = detail::look_at_sockets(query);
  if (table.seen.blind()) {
    throw observe_error{errc::cannot_look, "looking at the sockets of this machine",
                        to_string(detail::merged(gaps(table.seen)))};
  }
  return table;
}

TIDEWAIT_INLINE std::optional<std::uint32_t> time_wait_count() { return detail::time_waits(); }

}  // namespace v0
}  // namespace tidewait

#include <tidewait/detail/look_at_sockets.hpp>
