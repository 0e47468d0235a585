// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/bind.hpp>
#include <tidewait/detail/os.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/explain_bind.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What `tidewait why` would say of a bind that has failed, while its caller waits: the culprit is
/// still there. Only within a test, once for an endpoint, and on a stack with room for it; a child
/// of fork() has no watch.
inline void explain_failed_bind(const bind_record& record) noexcept {
  constexpr std::size_t room = std::size_t{256} << 10U;
  static thread_local bool busy = false;
  shared_state& shared = shared_state::instance();
  if (busy || shared.watches.empty() || !has_stack(room)) return;
  busy = true;
  try {
    const std::optional<endpoint>& where = record.asked ? record.asked : record.got;
    const bool inet = record.kind == bound_kind::tcp || record.kind == bound_kind::udp;
    if (shared.failed.count(record) && where && inet) {
      const protocol which = record.kind == bound_kind::udp ? protocol::udp : protocol::tcp;
      auto [why, seen] = explain_bind({which, *where, record.ipv6_only});
      shared.failed.explain(record, std::move(why), seen);
    }
  } catch (...) {
    // It is counted, if there was memory for that, and is not explained.
  }
  busy = false;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
