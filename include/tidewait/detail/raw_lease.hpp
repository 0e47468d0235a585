// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>

#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/os_handles.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The locks of one port: of TCP and of UDP.
using port_locks = std::array<kept_fd, 2>;

/// A lease as found: what `port_lease` owns.
struct raw_lease {
  lease_note note{};
  port_locks locks{};
  kept_fd hold{};
  int pid = 0;  ///< The process whose lease it is; a fork has only a copy. 0: no lease.
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
