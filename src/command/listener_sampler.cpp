// SPDX-License-Identifier: BSL-1.0
#include "listener_sampler.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/leftovers.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait::command {
namespace {

constexpr std::chrono::microseconds shortest{1000};
constexpr std::chrono::microseconds longest{50000};
// The list of a process's children can miss one while others come and go (proc(5)).
constexpr int enough_searches = 3;

}  // namespace

std::chrono::microseconds listener_sampler::sample() {
  const auto start = std::chrono::steady_clock::now();
  socket_query query;
  query.states = socket_state::listen | socket_state::unconn;
  // None if it cannot look: the look at the end says so.
  std::vector<observed_socket> now = detail::look_at_sockets(query).sockets;
  now.erase(std::remove_if(
                now.begin(), now.end(),
                [&](const observed_socket& each) { return detail::is_udp_client(each, rules_); }),
            now.end());
  const bool changed = update(std::move(now));
  std::vector<known_listener*> unknown;
  for (known_listener& each : listeners_) {
    if (!each.ours && each.searches < enough_searches) unknown.push_back(&each);
  }
  if (!unknown.empty()) search(std::move(unknown));
  find_shared();
  pause_ = changed ? shortest : std::min(longest, pause_ * 3 / 2);
  const auto took = std::chrono::steady_clock::now() - start;
  return std::max(pause_, std::chrono::duration_cast<std::chrono::microseconds>(20 * took));
}

/// Forgets those that are gone; true if there are new ones.
bool listener_sampler::update(std::vector<observed_socket> now) {
  std::vector<known_listener> next;
  bool any_new = false;
  for (observed_socket& socket : now) {
    const std::uint64_t identity = detail::identity(socket);
    const auto known =
        std::find_if(listeners_.begin(), listeners_.end(),
                     [&](const known_listener& each) { return each.identity == identity; });
    any_new = any_new || known == listeners_.end();
    next.push_back(known != listeners_.end()
                       ? std::move(*known)
                       : known_listener{identity, std::move(socket), 0, false, false});
  }
  listeners_ = std::move(next);
  return any_new;
}

void listener_sampler::search(std::vector<known_listener*> unknown) {
  std::vector<observed_socket> sockets;
  for (const known_listener* each : unknown) sockets.push_back(each->socket);
  detail::find_owners(sockets, owner_reach::own_tree);
  std::vector<observed_socket> ours;
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    ++unknown[i]->searches;
    unknown[i]->ours = everything_is_ours_ || !sockets[i].owners.empty();
    if (!unknown[i]->ours) continue;
    unknown[i]->socket = sockets[i];
    if (sockets[i].protocol == protocol::udp) continue;
    detail::shared_state::instance().seen.note_own_listener(sockets[i].local.port);
    ours.push_back(std::move(sockets[i]));
  }
  detail::write_journal(detail::shared_state::instance(), journal_event::listening, ours, test_);
}

void listener_sampler::find_shared() {
  for (known_listener& ours : listeners_) {
    if (!ours.ours) continue;
    for (known_listener& theirs : listeners_) {
      if (theirs.ours || theirs.told || theirs.searches < enough_searches) continue;
      const bool same = theirs.socket.protocol == ours.socket.protocol &&
                        theirs.socket.local == ours.socket.local;
      const bool told = std::any_of(shared_.begin(), shared_.end(),
                                    [&](const std::vector<observed_socket>& each) {
                                      return each.back().protocol == ours.socket.protocol &&
                                             each.back().local == ours.socket.local;
                                    });
      const bool group = ours.socket.protocol == protocol::udp &&
                         detail::may_be_multicast(ours.socket.local.address) &&
                         detail::multicast_joined(ours.socket.local.port);
      if (!same || told || group) continue;
      std::vector<observed_socket> both{theirs.socket, ours.socket};
      detail::find_owners(both, owner_reach::everyone);
      if (both.front().owners.empty() || both.front().owners.front().ours()) continue;
      theirs.told = true;
      shared_.push_back(std::move(both));
    }
  }
}

}  // namespace tidewait::command
