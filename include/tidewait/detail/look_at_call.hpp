// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include <tidewait/bind.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/explain_bind.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bind_request request_of(const bind_record& record, const endpoint& where) noexcept {
  const protocol which = record.kind == bound_kind::udp ? protocol::udp : protocol::tcp;
  return {which, where, record.ipv6_only};
}

/// What `tidewait why` would say of a bind that has failed.
inline void explain_failed_bind(shared_state& shared, const bind_record& record) {
  const std::optional<endpoint>& where = record.asked ? record.asked : record.got;
  const bool inet = record.kind == bound_kind::tcp || record.kind == bound_kind::udp;
  if (!shared.failed.count(record) || !where || !inet) return;
  auto [why, seen] = explain_bind(request_of(record, *where));
  shared.failed.explain(record, std::move(why), seen);
}

/// Whether a socket is alone on its port, as nearly all are that may share it. That takes no look
/// at other processes, and its caller is waiting.
inline bool serves_alone(const bind_record& record) {
  socket_query query;
  query.tcp = record.kind == bound_kind::tcp;
  query.udp = !query.tcp;
  query.states = socket_state::listen | socket_state::unconn;
  query.ports = {record.got->port};
  const socket_table table = look_at_sockets(query);
  return !table.seen.blind() && table.sockets.size() < 2;
}

/// Whether another program serves on the port of a socket that shares it.
inline void look_for_sharers(shared_state& shared, const bind_record& record) {
  if (!record.got || !shared.shared.may_look() || serves_alone(record)) return;
  auto [why, seen] = explain_bind(request_of(record, *record.got));
  const auto shares =
      std::find_if(why.explanations.begin(), why.explanations.end(),
                   [](const explanation& each) { return each.what == cause::shared_silently; });
  if (shares == why.explanations.end()) return;
  for (const auto* const sockets : {&why.conflicting, &why.unrelated}) {
    for (const observed_socket& each : *sockets) {
      if (each.cookie == record.cookie) shared.shared.add({record, each, std::move(*shares)});
      if (each.cookie == record.cookie) return;
    }
  }
}

/// Looks at a bind(2) or listen(2) that has just ended, while its caller waits: who made it fail,
/// or shares its port, is still there. Only within a test, and on a stack with room for it; a child
/// of fork() has no watch.
inline void look_at_call(const bind_record& record) noexcept {
  constexpr std::size_t room = std::size_t{256} << 10U;
  static thread_local bool busy = false;
  shared_state& shared = shared_state::instance();
  if (busy || shared.watches.empty() || !has_stack(room)) return;
  busy = true;
  try {
    if (record.error) {
      explain_failed_bind(shared, record);
    } else {
      look_for_sharers(shared, record);
    }
  } catch (...) {
    // It is counted, if there was memory for that, and is not explained.
  }
  busy = false;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
