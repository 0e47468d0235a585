// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/detail/urgency.hpp>
#include <tidewait/diagnosis.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Until when the kernel keeps the port by itself: the longest timer, if every socket has one.
inline std::optional<std::chrono::milliseconds> blocked_for(
    const std::vector<observed_socket>& sockets) {
  std::optional<std::chrono::milliseconds> longest;
  for (const observed_socket& socket : sockets) {
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
  const observed_socket* const first = why.conflicting.empty() ? nullptr : &why.conflicting.front();
  if (!outcome.reuse_address) {
    return how_long + " without SO_REUSEADDR; with it, it succeeds" +
           effect_of_reuse_address(why.request, first, environment);
  }
  std::string text = how_long + ", even with SO_REUSEADDR";
  const bool servers =
      std::any_of(why.conflicting.begin(), why.conflicting.end(), [&](const observed_socket& each) {
        return each.state == socket_state::fin_wait2 ||
               (each.state == socket_state::time_wait &&
                who_closed(each, false, environment) == closed_by::server);
      });
  if (left && servers && outcome.reuse_port) text += " (the earlier listener had not set it)";
  const bool listener = is_served(why.conflicting);
  if (listener) text += " (a listener is open)";
  if (why.request.protocol == protocol::udp && first != nullptr) text += udp_sockets_share_if;
  return text + beyond_reuse_address(outcome, listener ? first : nullptr, environment);
}

}  // namespace detail

TIDEWAIT_INLINE diagnosis diagnose(const bind_request& request,
                                   const std::vector<observed_socket>& sockets,
                                   const bind_outcome& outcome,
                                   const bind_environment& environment) {
  diagnosis why;
  why.request = request;
  why.outcome = outcome;
  for (const observed_socket& socket : sockets) {
    if (socket.protocol != request.protocol || socket.local.port != request.local.port) continue;
    const bool meets = overlap(socket.local, socket.ipv6_only(), request.local, request.ipv6_only);
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
    add(detail::explain_refusal(request, outcome.plain, environment));
  }
  if (request.local.port == 0 && outcome.plain == std::errc::address_in_use) {
    add(detail::explain_exhaustion(environment.rules.ephemeral));
  }
  if (environment.loopback_down) add(detail::explain_loopback_down());
  if (auto shared = detail::explain_shared_port(why.conflicting, environment))
    add(std::move(*shared));
  detail::explain_sockets(why.conflicting, request, outcome, environment, add);
  if (why.explanations.empty() && outcome.plain) {
    add({cause::not_visible, "no visible socket uses the port, yet the kernel refuses the bind",
         detail::look_closer(environment)});
  }
  return why;
}

}  // namespace v0
}  // namespace tidewait
