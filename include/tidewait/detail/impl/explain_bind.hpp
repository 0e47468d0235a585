// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/require_answer.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/urgency.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE bind_outcome probe_bind(const bind_request& request) {
  bind_outcome outcome;
  detail::in_private_descriptor_table([&] {
    detail::bind_socket(request, reuse::none, outcome.plain);
    detail::bind_socket(request, reuse::address, outcome.reuse_address);
    detail::bind_socket(request, reuse::port, outcome.reuse_port);
  });
  return outcome;
}

TIDEWAIT_INLINE std::error_code probe_port(protocol which, std::uint16_t port) {
  std::error_code error;
  detail::in_private_descriptor_table([&] { error = detail::try_whole_port(which, port); });
  return error;
}

namespace detail {

/// Names those on this machine that have not closed their end of a connection (FIN_WAIT2).
inline void name_peers(std::vector<observed_socket>& sockets) {
  const auto waits = [](const observed_socket& each) {
    return each.state == socket_state::fin_wait2 && each.owned == ownership::kernel;
  };
  constexpr std::size_t most = 64;
  socket_query query;
  query.states = socket_state::close_wait;
  query.udp = false;
  query.owners = owner_reach::until_found;
  for (const observed_socket& each : sockets) {
    if (waits(each) && query.ports.size() < most) query.ports.push_back(each.remote.port);
  }
  if (query.ports.empty()) return;
  const socket_table table = look_at_sockets(std::move(query));
  for (observed_socket& each : sockets) {
    if (!waits(each)) continue;
    for (const observed_socket& end : table.sockets) {
      const bool same = end.local == each.remote && end.remote == each.local;
      if (same) each.peers = end.owners;
    }
  }
}

/// The sockets on one port with their holders; none, and `seen.blind()`, if they cannot be read.
inline socket_table sockets_on(protocol which, std::uint16_t port,
                               state_set states = state_set::all()) {
  socket_query query;
  query.states = states;
  query.tcp = which == protocol::tcp;
  query.udp = which == protocol::udp;
  query.ports = {port};
  query.owners = owner_reach::until_found;
  socket_table table = look_at_sockets(std::move(query));
  find_keepers(table.sockets);
  describe_holders(table.sockets);
  name_peers(table.sockets);
  name_other_tests(shared_state::instance(), table.sockets, sockets_are::there);
  return table;
}

inline diagnosis diagnose_now(const bind_request& request, const bind_outcome& outcome,
                              const socket_table& table) {
  bind_environment environment = environment_now(table.seen, request.local.port);
  if (outcome.plain) environment.restrictions = read_restrictions();
  if (outcome.plain == std::errc::address_not_available)
    environment.has_address = an_interface_has(request.local.address);
  if (outcome.plain == std::errc::permission_denied) {
    environment.low_ports = right_to_low_ports();
    environment.rules = look_up_port_rules(request.protocol, request.local.address);
  }
  const auto leases = shared_state::instance().leases.to_judge();
  environment.leased = std::any_of(leases.begin(), leases.end(), [&](const lease_note& lease) {
    return lease.port == request.local.port && includes(lease.kind, request.protocol);
  });
  return diagnose(request, table.sockets, outcome, environment);
}

/// Whether the table may show a process that is just ending: its sockets are there, and nobody
/// holds them any more.
inline bool may_be_ending(const socket_table& table) {
  return std::any_of(table.sockets.begin(), table.sockets.end(), [](const observed_socket& each) {
    const bool unheld = each.owned == ownership::ownerless || each.owned == ownership::outside;
    return unheld && !each.keeper;
  });
}

/// The sockets on a port that was in use when it was asked about, and the kernel's answer to a bind
/// after that: what has ended meanwhile is not explained as if it were there. `request_for(table)`
/// says which bind to ask about.
template <typename RequestFor>
bind_outcome ask_again(protocol which, std::uint16_t port, socket_table& table,
                       RequestFor&& request_for) {
  constexpr std::chrono::milliseconds patience{250};
  std::chrono::milliseconds waited{0};
  for (std::chrono::milliseconds step{1};; step *= 2) {
    table = sockets_on(which, port);
    const bind_outcome outcome = probe_bind(request_for(table));
    if (!outcome.plain || !may_be_ending(table) || waited >= patience) return outcome;
    sleep_for(std::min(step, patience - waited));
    waited += step;
  }
}

/// In use a moment ago, and free now.
inline diagnosis freed_meanwhile(const bind_request& request, const bind_environment& environment) {
  diagnosis why = diagnose(request, {}, {}, environment);
  why.explanations.push_back({cause::freed_meanwhile,
                              "the port was in use a moment ago and is free now",
                              "wait for the process that had it to end (waitpid), then bind"});
  return why;
}

}  // namespace detail

TIDEWAIT_INLINE bind_explanation explain_bind(const bind_request& request) {
  bind_outcome outcome = probe_bind(request);
  detail::require_answer(request.local, outcome.plain);
  const bool in_use = outcome.plain == std::errc::address_in_use;
  socket_table table;
  if (in_use) {
    outcome = detail::ask_again(request.protocol, request.local.port, table,
                                [&](const socket_table&) { return request; });
  } else {
    const state_set states =
        outcome.plain ? state_set::all() : socket_state::listen | socket_state::unconn;
    table = detail::sockets_on(request.protocol, request.local.port, states);
  }
  if (in_use && !outcome.plain) {
    return {
        detail::freed_meanwhile(request, detail::environment_now(table.seen, request.local.port)),
        table.seen};
  }
  return {detail::diagnose_now(request, outcome, table), table.seen};
}

TIDEWAIT_INLINE bind_explanation explain_port(protocol which, std::uint16_t port) {
  bind_request request{which, {ip_address::any_v6(), port}, ipv6_only::no};
  socket_table table;
  bind_outcome outcome;  // nothing uses the port: every bind would succeed
  if (const std::error_code busy = probe_port(which, port)) {
    detail::require_answer(request.local, busy);
    const bind_request any = request;
    outcome = detail::ask_again(which, port, table, [&](socket_table& there) {
      request = any;
      if (there.sockets.empty()) return request;
      detail::sort_for_people(there.sockets);
      request.local = there.sockets.front().local;
      request.ipv6_only = there.sockets.front().ipv6_only();
      return request;
    });
    const bool freed =
        busy == std::errc::address_in_use && !outcome.plain && !probe_port(which, port);
    if (freed) {
      return {detail::freed_meanwhile(any, detail::environment_now(table.seen, port)), table.seen};
    }
    // Nothing to be seen, and no IPv6 to ask with: what the probe of the port said remains.
    if (outcome.plain == std::errc::address_family_not_supported) outcome.plain = busy;
  }
  return {detail::diagnose_now(request, outcome, table), table.seen};
}

}  // namespace v0
}  // namespace tidewait
