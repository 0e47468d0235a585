// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind_environment.hpp>
#include <tidewait/bind_outcome.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Why a bind fails, or would: the sockets that stand in its way, what each means, what to change.
struct diagnosis {
  bind_request request;
  bind_outcome outcome;
  std::vector<socket_entry> conflicting;  ///< Sorted: listeners first, TIME_WAIT last.
  std::vector<socket_entry> unrelated;    ///< On the same port, but not in the way.
  std::vector<explanation> explanations;  ///< Each cause once, the one to mend first in front.
  std::string next_bind;  ///< The consequence: "fails for 59.2 s without SO_REUSEADDR; …".

  bool free() const noexcept { return !outcome.plain; }
};

namespace detail {

/// The order of a table for people: what blocks for good first, what passes by itself last.
inline int urgency(const socket_entry& socket) noexcept {
  switch (socket.state) {
    case socket_state::listen: return 0;
    case socket_state::bound:
    case socket_state::close: return 1;
    case socket_state::time_wait: return 3;
    default: return 2;
  }
}

inline void sort_for_people(std::vector<socket_entry>& sockets) {
  std::sort(sockets.begin(), sockets.end(), [](const socket_entry& a, const socket_entry& b) {
    const int x = urgency(a);
    const int y = urgency(b);
    return std::tie(x, a.protocol, a.local, a.remote, a.cookie) <
           std::tie(y, b.protocol, b.local, b.remote, b.cookie);
  });
}

/// Until when the kernel keeps the port by itself: the longest timer, if every socket has one.
inline std::optional<std::chrono::milliseconds> blocked_for(
    const std::vector<socket_entry>& sockets) {
  std::optional<std::chrono::milliseconds> longest;
  for (const socket_entry& socket : sockets) {
    if (!socket.time_left) return std::nullopt;
    if (!longest || *socket.time_left > *longest) longest = *socket.time_left;
  }
  return longest;
}

inline std::string describe_next_bind(const diagnosis& why, const bind_environment& environment) {
  const bind_outcome& outcome = why.outcome;
  if (!outcome.plain) return "succeeds";
  if (outcome.plain != std::errc::address_in_use) return "fails: " + outcome.plain.message();
  const auto left = blocked_for(why.conflicting);
  const std::string how_long = left ? "fails for " + to_text(*left) : "fails";
  if (!outcome.reuse_address) {
    return how_long + " without SO_REUSEADDR; with it, it succeeds" +
           (why.request.which == protocol::udp ? ", and one of the two sockets gets the datagrams"
                                               : "");
  }
  std::string text = how_long + (left ? ", also with SO_REUSEADDR" : "; also with SO_REUSEADDR");
  if (left) text += " (the listener that was there had not set it)";
  const socket_entry* const first = why.conflicting.empty() ? nullptr : &why.conflicting.front();
  const bool listener = first != nullptr && first->state == socket_state::listen;
  if (listener) text += " (a listener is open)";
  if (!outcome.reuse_port) {
    text += "; SO_REUSEPORT would share the port with the listener, silently";
  } else if (listener && environment.user && *environment.user != first->uid) {
    text += "; also with SO_REUSEPORT, for the listener is user " + std::to_string(first->uid) +
            "'s, and only sockets of one user share a port";
  }
  return text;
}

}  // namespace detail

/// Explains a bind: a pure function of the request, the sockets on its port, the kernel's own
/// answer (`probe_bind`) and the environment.
inline diagnosis diagnose(const bind_request& request, const std::vector<socket_entry>& sockets,
                          const bind_outcome& outcome, const bind_environment& environment = {}) {
  diagnosis why;
  why.request = request;
  why.outcome = outcome;
  for (const socket_entry& socket : sockets) {
    if (socket.protocol != request.which || socket.local.port != request.local.port) continue;
    const bool meets = overlap(socket.local, socket.scope(), request.local, request.scope);
    (meets ? why.conflicting : why.unrelated).push_back(socket);
  }
  detail::sort_for_people(why.conflicting);
  detail::sort_for_people(why.unrelated);
  why.next_bind = detail::describe_next_bind(why, environment);

  const auto add = [&](explanation each) {
    for (explanation& known : why.explanations) {
      if (known.what == each.what && known.why == each.why) return;
    }
    why.explanations.push_back(std::move(each));
  };
  if (outcome.plain && outcome.plain != std::errc::address_in_use) {
    add(detail::explain_refusal(request, outcome.plain, environment.rules));
  }
  if (auto shared = detail::explain_shared_port(why.conflicting)) add(std::move(*shared));
  detail::explain_sockets(why.conflicting, request, outcome, environment, add);
  if (why.explanations.empty() && outcome.plain) {
    add({cause::not_visible,
         "nothing that can be seen stands on the port, but the kernel refuses it",
         "look as root and outside containers; a kernel before 6.8 does not list sockets that are "
         "bound and do not listen"});
  }
  return why;
}

}  // namespace v0
}  // namespace tidewait
