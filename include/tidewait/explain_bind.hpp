// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/urgency.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {

/// Asks the kernel itself whether this bind would succeed now, with and without SO_REUSEADDR and
/// SO_REUSEPORT (bind(2), socket(7)), by binding and closing at once. It never listens.
[[nodiscard]] inline bind_outcome probe_bind(const bind_request& request) {
  bind_outcome outcome;
  detail::in_private_descriptor_table([&] {
    detail::bind_socket(request, reuse::none, outcome.plain);
    detail::bind_socket(request, reuse::address, outcome.reuse_address);
    detail::bind_socket(request, reuse::port, outcome.reuse_port);
  });
  return outcome;
}

/// Whether nothing at all uses this port, on any address of IPv4 or IPv6: empty, or the
/// kernel's reason (EADDRINUSE, EACCES). About 8 µs, whatever the number of sockets.
[[nodiscard]] inline std::error_code probe_port(protocol which, std::uint16_t port) {
  std::error_code error;
  detail::in_private_descriptor_table([&] { error = detail::try_whole_port(which, port); });
  return error;
}

namespace detail {

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
  name_other_tests(shared_state::instance(), table.sockets, sockets_are::there);
  return table;
}

/// What is known beside the sockets, of this process and of a look that saw so much.
inline bind_environment environment_now(const visibility& seen) {
  bind_environment environment;
  environment.rules = read_port_rules();
  environment.pid_namespace = seen.pid_namespace;
  environment.owners = seen.owners;
  environment.user = user_id();
  environment.may_trace = may_trace_others();
  return environment;
}

/// The same for one port.
inline bind_environment environment_now(const visibility& seen, std::uint16_t port) {
  bind_environment environment = environment_now(seen);
  environment.loopback_down = loopback_is_down();
  environment.multicast = multicast_joined(port);
  environment.listened = shared_state::instance().seen.is_own_listener(port);
  return environment;
}

inline diagnosis diagnose_now(const bind_request& request, const bind_outcome& outcome,
                              const socket_table& table) {
  bind_environment environment = environment_now(table.seen, request.local.port);
  if (outcome.plain && outcome.plain != std::errc::address_in_use)
    environment.restrictions = read_restrictions();
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

/// Throws `observe_error` if the bind could not even be asked for.
inline void require_answer(const endpoint& local, const std::error_code& answer) {
  for (const std::errc obstacle :
       {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
        std::errc::no_buffer_space, std::errc::not_enough_memory}) {
    if (answer != obstacle) continue;
    throw observe_error{answer, "asking the kernel for a bind to " + to_string(local),
                        "look for a descriptor leak, or raise the limit (ulimit -n, memory)"};
  }
}

}  // namespace detail

/// Why a bind would fail, and how much could be seen. Both go to `render`.
struct bind_explanation {
  diagnosis why;    ///< The answers of the kernel, what is in the way, and why.
  visibility seen;  ///< Blind where no table can be read: then the kernel's answer alone remains.

  /// Whether the bind would succeed.
  bool free() const noexcept { return why.free(); }
};

/// Why a bind would fail now, or that it would succeed: asks the kernel, and looks at the sockets
/// on that port and at who holds them; where the kernel has nothing against the bind, only at those
/// that serve another address, which takes the same time whatever the number of connections.
/// Throws `observe_error` if the kernel cannot be asked, for example for lack of descriptors.
[[nodiscard]] inline bind_explanation explain_bind(const bind_request& request) {
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

/// The same for a port on any address, IPv4 or IPv6: the bind that is explained is one to the
/// address of the most lasting socket there.
[[nodiscard]] inline bind_explanation explain_port(protocol which, std::uint16_t port) {
  bind_request request{which, {ip_address::any_v6(), port}, ipv6_only::no};
  socket_table table;
  bind_outcome outcome;  // nothing stands there: every bind would succeed
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
