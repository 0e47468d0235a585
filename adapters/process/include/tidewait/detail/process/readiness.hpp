// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/detail/explain_socket.hpp>
#include <tidewait/detail/process/server_backend.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/explain_unix_bind.hpp>
#include <tidewait/listen_target.hpp>
#include <tidewait/report.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// How far a server has come.
struct readiness {
  enum class stage : std::uint8_t {
    not_yet,   ///< Some port has no socket.
    stranger,  ///< Somebody else's socket is on a port.
    unseen,    ///< There is a socket, and it cannot be seen whose it is.
    ready,
  };
  stage now = stage::not_yet;
  std::string why{};  ///< In words; of `ready`, empty.
  std::optional<listen_target> where{};
  tidewait::protocol protocol = protocol::tcp;
  std::vector<observed_socket> sockets{};  ///< Of `ready`: what the server serves.
};

/// A socket on which a server of that protocol serves.
inline bool serves(const observed_socket& socket) noexcept {
  return socket.state ==
         (socket.protocol == protocol::tcp ? socket_state::listen : socket_state::unconn);
}

inline bool serves(const observed_socket& socket, const listen_target& target, protocol which) {
  return socket.protocol == which && socket.local.port == target.port() && serves(socket) &&
         (!target.address() || overlap(socket.local, socket.ipv6_only(),
                                       {*target.address(), target.port()}, ipv6_only::no));
}

/// The serving sockets on the ports of the targets, or on all. Throws `observe_error` if they
/// cannot be seen.
inline std::vector<observed_socket> serving_sockets(const std::vector<listen_target>& targets,
                                                    owner_reach owners) {
  socket_query query;
  query.states = socket_state::listen | socket_state::unconn;
  if (!targets.empty()) query.tcp = query.udp = false;
  for (const listen_target& each : targets) {
    query.tcp = query.tcp || each.includes(protocol::tcp);
    query.udp = query.udp || each.includes(protocol::udp);
    query.ports.push_back(each.port());
  }
  query.owners = owners;
  auto sockets = socket_table::current(query).sockets;
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(),
                               [](const observed_socket& each) { return !serves(each); }),
                sockets.end());
  return sockets;
}

inline bool any_in(const std::vector<living_process>& processes,
                   const std::vector<process>& owners) {
  return std::any_of(processes.begin(), processes.end(), [&](const living_process& member) {
    return std::any_of(owners.begin(), owners.end(),
                       [&](const process& owner) { return owner.pid == pid_of(member); });
  });
}

inline std::string list_endpoints(const std::vector<observed_socket>& sockets) {
  std::vector<std::string> names;
  for (const observed_socket& each : sockets) {
    names.push_back((each.protocol == protocol::udp ? "UDP " : "") + to_string(each.local));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return joined(names, ", ");
}

/// How far the server has come with a Unix socket: it listens on the name (of a datagram socket: is
/// bound), and the process that holds it is one of the server's.
inline readiness look_for_unix(const listen_target& target, const server_run& run) {
  readiness found;
  found.where = target;
  const std::string& name = target.unix_name();
  const std::string shown = to_string(target);
  auto [why, seen] = explain_unix_bind(name);
  auto& sockets = why.conflicting;
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(),
                               [](const observed_unix& each) {
                                 return each.stale_file || (each.state != socket_state::listen &&
                                                            each.kind != unix_kind::datagram);
                               }),
                sockets.end());
  if (seen.unix_sockets == table_source::nothing) {
    throw observe_error{make_error_code(errc::cannot_look), "looking at the Unix sockets",
                        to_string(merged(gaps(seen)))};
  }
  if (sockets.empty()) {
    found.why = "nothing listens on " + shown;
    return found;
  }
  const auto processes = run.processes();
  for (const observed_unix& socket : sockets) {
    if (any_in(processes, socket.owners)) continue;
    found.now = socket.owners.empty() ? readiness::stage::unseen : readiness::stage::stranger;
    found.why = shown + " belongs to " +
                (socket.owners.empty() ? "a process that cannot be seen"
                                       : name_of(socket.owners.front()) + ", not to the server");
    return found;
  }
  found.now = readiness::stage::ready;
  return found;
}

/// One look. Who owns what is searched only once there is a socket on every port: until then a look
/// costs some 40 µs.
inline readiness look_for_ports(const std::vector<listen_target>& targets, const server_run& run) {
  readiness found;
  auto sockets = serving_sockets(targets, owner_reach::nobody);
  for (const listen_target& target : targets) {
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      const bool there =
          std::any_of(sockets.begin(), sockets.end(),
                      [&](const observed_socket& each) { return serves(each, target, which); });
      if (!target.includes(which) || there) continue;
      found.where = target;
      found.protocol = which;
      found.why = std::string{which == protocol::tcp ? "nothing listens on " : "nothing is on "} +
                  to_string(target);
      return found;
    }
  }
  sockets = serving_sockets(targets, owner_reach::everyone);
  const auto processes = run.processes();
  for (const observed_socket& socket : sockets) {
    if (any_in(processes, socket.owners)) continue;
    const bool hidden_there =
        socket.owners.empty() && !run.was_there_before(socket) &&
        std::any_of(processes.begin(), processes.end(),
                    [&](const living_process& member) { return may_hold(member, socket); });
    if (hidden_there) continue;
    found.now = socket.owners.empty() ? readiness::stage::unseen : readiness::stage::stranger;
    found.where = listen_target{socket.local.port, socket.protocol};
    found.protocol = socket.protocol;
    found.why = to_string(socket.local) + " belongs to " +
                (socket.owners.empty() ? "a process that cannot be seen"
                                       : name_of(socket.owners.front()) + ", not to the server");
    return found;
  }
  // Whoever closed between the two looks is looked at again.
  if (!sockets.empty()) found.now = readiness::stage::ready;
  found.sockets = std::move(sockets);
  return found;
}

/// The same for ports and Unix sockets: as far as the one that has come least.
inline readiness look_for(const std::vector<listen_target>& targets, const server_run& run) {
  std::vector<listen_target> ports;
  for (const listen_target& each : targets) {
    if (each.unix_name().empty()) {
      ports.push_back(each);
    } else if (readiness found = look_for_unix(each, run); found.now != readiness::stage::ready) {
      return found;
    }
  }
  if (!ports.empty()) return look_for_ports(ports, run);
  readiness all;
  all.now = readiness::stage::ready;
  return all;
}

/// What the server serves in truth, where it was expected elsewhere; empty if nothing is known.
inline std::string where_instead(const server_run& run) {
  try {
    auto sockets = serving_sockets({}, owner_reach::everyone);
    const auto processes = run.processes();
    sockets.erase(std::remove_if(
                      sockets.begin(), sockets.end(),
                      [&](const observed_socket& each) { return !any_in(processes, each.owners); }),
                  sockets.end());
    if (!sockets.empty()) return "it serves " + list_endpoints(sockets) + " instead";
    return processes.empty() ? "" : "it serves no port at all";
  } catch (const observe_error&) {
    return "";  // the look at the port itself says what cannot be seen
  }
}

/// `why` of a port or a name, for the end of a message; empty if it is free.
inline std::string explain_target(const listen_target& target, protocol which) {
  try {
    if (!target.unix_name().empty()) {
      const auto [why, seen] = explain_unix_bind(target.unix_name());
      return why.free() ? std::string{} : render(why, seen);
    }
    const auto [why, seen] = explain_port(which, target.port());
    return why.free() ? std::string{} : render(why, seen);
  } catch (const observe_error& error) {
    return std::string{error.what()} + '\n';
  }
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
