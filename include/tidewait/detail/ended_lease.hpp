// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/bind.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/raw_lease.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A lease whose port was not free when it ended. Its locks stay with the process, so that nobody
/// else leases the port, until it is clean.
struct ended_lease {
  lease_note note;
  port_locks locks;
  bool judged = false;  ///< A look has reported it.
};

/// Whether the port of a lease is free for every protocol it was leased for. A port of another
/// network namespace than the calling thread's cannot be seen from here: no.
inline bool port_is_clean(const lease_note& lease) {
  bool clean = true;
  in_private_descriptor_table([&] {
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      if (!clean || !includes(lease.kind, which)) continue;
      std::error_code error;
      const unique_fd probe = bind_whole_port(which, lease.port, reuse::none, error);
      clean = !error && net_cookie(probe) == lease.net_cookie;
    }
  });
  return clean;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
