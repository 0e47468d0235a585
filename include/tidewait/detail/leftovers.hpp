// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/baseline.hpp>
#include <tidewait/detail/harmless.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/urgency.hpp>
#include <tidewait/detail/witnessed.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whose a socket is. Where its bind was witnessed in this test, that tells; otherwise its holder,
/// and of what the kernel keeps the port.
enum class attribution : std::uint8_t {
  ours,     ///< This process tree's, or on its leased port.
  foreign,  ///< Another program's.
  unseen,   ///< Nobody can tell: said, but no reason to fail.
};

inline const lease_note* lease_of(const std::vector<lease_note>& leases,
                                  const port_key& port) noexcept {
  for (const lease_note& each : leases) {
    if (each.port == port.port && includes(each.kind, port.protocol)) return &each;
  }
  return nullptr;
}

/// Keeps the leases of the calling thread, where tests run on several at once.
inline void keep_own(std::vector<lease_note>& leases) {
  leases.erase(std::remove_if(leases.begin(), leases.end(),
                              [](const lease_note& each) { return each.thread != this_thread(); }),
               leases.end());
}

/// A client that has been opened lazily looks just so: its owner meant no port in particular.
inline bool is_udp_client(const observed_socket& socket, const port_rules& rules) noexcept {
  return socket.protocol == protocol::udp && socket.local.address.is_wildcard() &&
         rules.ephemeral.contains(socket.local.port);
}

inline attribution attribute(const observed_socket& socket, bool leased, const baseline& before,
                             const sightings& seen) {
  if (leased || before.private_namespace) return attribution::ours;
  if (socket.keeper) return socket.keeper->who.ours() ? attribution::ours : attribution::foreign;
  if (socket.owned == ownership::found) {
    for (const process& owner : socket.owners) {
      if (owner.ours()) return attribution::ours;
    }
    // Bound by this test, and handed to another program.
    const bool bound_here = socket.bound && socket.bound->cookie == socket.cookie;
    return bound_here ? attribution::ours : attribution::foreign;
  }
  if (socket.bound) return attribution::ours;
  if (socket.owned == ownership::kernel) {
    if (seen.bound_by(key_of(socket))) return attribution::foreign;
    return seen.is_own_listener(socket.local.port) ? attribution::ours : attribution::unseen;
  }
  // Whatever starts outside of a container with the host's network is no concern of the test.
  return socket.owned == ownership::outside ? attribution::foreign : attribution::unseen;
}

/// Of the open ports that are new since the baseline, those that are worth a closer look. What
/// turns out to be another program's is remembered, so that it is searched for only once.
inline void add_fresh_ports(const std::vector<observed_socket>& now, const baseline& before,
                            const std::vector<lease_note>& leases, const witnessed_binds& binds,
                            sightings& seen, std::vector<port_key>& ports) {
  std::vector<observed_socket> fresh;
  std::vector<observed_socket> clients;
  std::optional<port_rules> rules;
  for (const observed_socket& socket : now) {
    if (before.knows(socket, seen)) continue;
    if (lease_of(leases, key_of(socket)) != nullptr) {
      add_port(ports, key_of(socket));
      continue;
    }
    if (binds.of(socket)) {
      add_port(ports, key_of(socket));
      continue;
    }
    if (before.threads) continue;
    if (!rules) rules = read_port_rules();
    (is_udp_client(socket, *rules) ? clients : fresh).push_back(socket);
  }
  std::vector<std::uint64_t> foreign;
  const auto sort_out = [&](std::vector<observed_socket>& sockets, owner_reach reach) {
    if (sockets.empty()) return;
    find_owners(sockets, reach);
    find_keepers(sockets);
    for (const observed_socket& socket : sockets) {
      // Not found in the own tree, and not looked for elsewhere.
      const bool elsewhere = socket.owned == ownership::not_searched && !before.private_namespace;
      const attribution whose =
          elsewhere ? attribution::foreign : attribute(socket, false, before, seen);
      if (whose == attribution::foreign) {
        foreign.push_back(identity(socket));
      } else {
        add_port(ports, key_of(socket));
      }
      // Not one without an owner: it may belong to another program that is just ending.
      if (whose == attribution::ours && socket.state == socket_state::listen &&
          !socket.owners.empty()) {
        seen.note_own_listener(socket.local.port);
      }
    }
  };
  sort_out(fresh, owner_reach::until_found);
  sort_out(clients, owner_reach::own_tree);
  seen.mark_handled(foreign);
}

/// When the kernel's minute began (TCP_TIMEWAIT_LEN, include/net/tcp.h): before the baseline?
inline bool began_before(const observed_socket& socket, const baseline& before) {
  if (!socket.time_left) return false;
  constexpr std::chrono::seconds whole{60};
  constexpr std::chrono::milliseconds timer_slack{20};
  const auto age = whole - *socket.time_left;
  // What was on other ports is known by its cookie. Those of a server are not read at each
  // baseline, so here it is the test that has the benefit of the doubt.
  const auto doubt = contains(before.served, key_of(socket)) ? timer_slack : -timer_slack;
  return steady_now() - age < before.since + doubt;
}

/// The TIME_WAITs that are new since the baseline, on ports outside the ephemeral range: on the
/// others is the client's side, which is nobody's trouble.
inline std::vector<observed_socket> new_time_waits(const baseline& before, const sightings& seen) {
  std::vector<observed_socket> found = all_time_waits();
  if (found.empty()) return found;
  const port_range ephemeral = read_port_rules().ephemeral;
  const auto of_no_interest = [&](const observed_socket& socket) {
    return ephemeral.contains(socket.local.port) || before.knows(socket, seen) ||
           began_before(socket, before);
  };
  found.erase(std::remove_if(found.begin(), found.end(), of_no_interest), found.end());
  return found;
}

/// The TCP ports of servers from before the test: the watch that was there when they began judges
/// their connections. Another listener on such a port is among the fresh ones.
inline std::vector<port_key> still_served(const std::vector<observed_socket>& now,
                                          const baseline& before, const sightings& seen) {
  std::vector<port_key> ports;
  for (const observed_socket& socket : now) {
    if (socket.state == socket_state::listen && before.knows(socket, seen))
      add_port(ports, key_of(socket));
  }
  return ports;
}

/// Of the sockets on the ports in question, those that the test left.
inline std::vector<observed_socket> left_since(std::vector<observed_socket> sockets,
                                               const baseline& before,
                                               const std::vector<port_key>& ports,
                                               const sightings& seen) {
  const std::vector<port_key> served = still_served(sockets, before, seen);
  const auto not_left = [&](const observed_socket& socket) {
    return !contains(ports, key_of(socket)) || before.knows(socket, seen) ||
           began_before(socket, before) ||
           (socket.state != socket_state::listen && contains(served, key_of(socket)));
  };
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(), not_left), sockets.end());
  return sockets;
}

/// What passes by itself: connections that are closing, with nobody to hold them, and what a
/// process holds that is just ending, which shows nobody its files any more, or has given them up.
inline bool any_passing(const std::vector<observed_socket>& sockets) {
  return std::any_of(sockets.begin(), sockets.end(), [](const observed_socket& socket) {
    if (socket.keeper) return false;
    if (socket.owned == ownership::hidden || socket.owned == ownership::ownerless) return true;
    return closes_alone(socket);
  });
}

/// A socket that the test left, and what its policy says of it.
struct judged_socket {
  observed_socket socket{};
  std::string harmless{};             ///< Why it blocks no later bind; empty if it may.
  const policy_rule* rule = nullptr;  ///< That decided; null: none matched.
  action what = action::fail;
  bool certain = false;  ///< It is this test's; false if nobody can tell.
};

/// Judges what was left on one port, without what is another program's.
inline std::vector<judged_socket> judge_sockets(const port_key& port,
                                                const std::vector<observed_socket>& left,
                                                bool leased, const policy& rules,
                                                const test_id& test, const baseline& before,
                                                const sightings& seen, const port_rules& ports) {
  std::vector<judged_socket> judged;
  std::optional<std::string> harmless;  // the same for all that was left of one listener
  for (const observed_socket& socket : left) {
    if (!(key_of(socket) == port)) continue;
    const attribution whose = attribute(socket, leased, before, seen);
    // What the kernel keeps for nobody in sight is another program's for all we know: no
    // accusation.
    const bool nobodys =
        whose == attribution::unseen &&
        (socket.owned == ownership::kernel || (seen.command && seen.command->is_strange(socket)));
    if (whose == attribution::foreign || nobodys) continue;
    judged_socket each;
    each.socket = socket;
    each.rule = rules.match(socket, test);
    if (each.rule != nullptr) {
      each.what = each.rule->action;
    } else if (!leased && is_remainder(socket)) {
      if (!harmless)
        harmless = seen.command ? seen.command->why_harmless(socket) : why_harmless(socket);
      each.harmless = *harmless;
      if (!harmless->empty() && (rules.judges_by_consequence() || seen.command)) {
        each.what = action::tolerate;
      } else if (on_chosen_port(socket)) {
        each.what = action::warn;
      }
    }
    each.certain =
        whose == attribution::ours && (leased || socket.bound || !is_udp_client(socket, ports));
    judged.push_back(std::move(each));
  }
  return judged;
}

/// Adds what is harmless, by the server that it is of.
inline void note_harmless(const std::vector<judged_socket>& judged,
                          std::vector<harmless_remainder>& harmless) {
  for (const judged_socket& each : judged) {
    if (each.what != action::tolerate || each.harmless.empty()) continue;
    const auto& bound = each.socket.bound;
    const endpoint local = (bound ? bound->got : std::nullopt).value_or(each.socket.local);
    const auto same = std::find_if(harmless.begin(), harmless.end(),
                                   [&](const auto& known) { return known.local == local; });
    if (same == harmless.end()) {
      harmless.push_back({local, 1, each.harmless});
    } else {
      ++same->count;
    }
  }
}

/// Whether a socket that the table shows, and a rule lets pass, keeps the port taken.
inline bool is_taken_visibly(const std::vector<judged_socket>& judged) {
  return std::any_of(judged.begin(), judged.end(), [](const judged_socket& each) {
    return each.socket.state != socket_state::time_wait;
  });
}

/// What was left on one port and is not tolerated, explained; nothing if nothing was. The kernel is
/// asked for the next bind.
inline std::optional<finding> explain_left(const port_key& port,
                                           const std::vector<judged_socket>& judged,
                                           const lease_note* lease,
                                           const bind_environment& environment) {
  finding found;
  found.fails = false;
  found.certain = false;
  std::vector<observed_socket> sockets;
  for (const judged_socket& each : judged) {
    if (each.what == action::tolerate) continue;
    found.fails = found.fails || (each.certain && each.what == action::fail);
    found.certain = found.certain || each.certain;
    const bool decides = !found.decided_by || each.what == action::fail;
    if (each.rule != nullptr && decides) found.decided_by = *each.rule;
    sockets.push_back(each.socket);
  }
  if (sockets.empty()) return std::nullopt;
  sort_for_people(sockets);
  bind_request request;
  request.protocol = port.protocol;
  request.local = sockets.front().local;
  request.ipv6_only = sockets.front().ipv6_only();
  found.why = diagnose(request, sockets, probe_bind(request), environment);
  if (lease != nullptr) found.lease = *lease;
  found.port_was_chosen = lease != nullptr || environment.rules.ephemeral.contains(port.port);
  if (lease == nullptr && sockets.front().bound)
    found.port_was_chosen = sockets.front().bound->kernel_chose_port;
  return found;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
