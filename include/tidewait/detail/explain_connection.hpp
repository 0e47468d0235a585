// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/explain_unowned.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/detail/socket_groups.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What helps against connections that this side has closed and their peer has not.
inline std::string end_half_closed(const observed_socket& socket, const bind_outcome& outcome,
                                   const bind_environment& environment) {
  const auto& peers = socket.peers;
  const bool ours =
      std::any_of(peers.begin(), peers.end(), [](const process& each) { return each.ours(); });
  if (ours || environment.strict || environment.leased || environment.listened)
    return "also close the client's end before the test ends";
  return "close the client's end" +
         (peers.empty() ? std::string{} : ", or stop " + name_of(peers.front())) +
         (outcome.reuse_address ? "; set SO_REUSEADDR before bind on each server that uses the port"
                                : ", or set SO_REUSEADDR before bind");
}

/// Connections that the kernel alone has on the port: no process holds them, by nature.
inline explanation explain_kernel_connection(const socket_group& group, const bind_outcome& outcome,
                                             const bind_environment& environment) {
  const observed_socket& socket = group.first;
  const std::string peer = to_string(socket.remote);
  const std::string state{to_string(socket.state)};
  const bool one = group.count == 1;
  const std::string subject =
      one ? "the connection with " + peer
          : std::to_string(group.count) + " connections, one with " + peer + ',';
  constexpr const char* until_the_peer_answers =
      "it passes once the peer answers; if that is gone or unreachable, once the kernel gives up "
      "(net.ipv4.tcp_orphan_retries)";
  switch (socket.state) {
    case socket_state::syn_recv:
    case socket_state::established:
    case socket_state::close_wait:
      return {cause::connection_open,
              subject + (one ? " waits" : " wait") +
                  " in the listener's queue: no accept() has taken " + (one ? "it" : "them"),
              "close the listener, which drops its queue, or accept the connection and close it"};
    case socket_state::fin_wait2:
      return {cause::connection_open,
              subject + (one ? " was" : " were") + " closed here and " + (one ? "is" : "are") +
                  " in " + state + ": the peer" +
                  (socket.peers.empty() ? "" : ", " + whose(socket.peers.front()) + ',') +
                  " has not closed",
              end_half_closed(socket, outcome, environment)};
    case socket_state::last_ack:
      return {cause::connection_open,
              subject + (one ? " is" : " are") +
                  " in LAST_ACK: the peer closed first, then this side; the peer's last ACK is "
                  "missing",
              until_the_peer_answers};
    case socket_state::syn_sent:
    case socket_state::fin_wait1:
    case socket_state::time_wait:
    case socket_state::unconn:
    case socket_state::listen:
    case socket_state::closing:
    case socket_state::bound: break;
  }
  return {cause::connection_open,
          subject + (one ? " was" : " were") + " closed here and " + (one ? "is" : "are") + " in " +
              state + ": the peer has not acknowledged it",
          until_the_peer_answers};
}

/// Connections that a process, or the kernel alone, still has on the port. `served`: a listener is
/// on the same port, so that they are its clients'; so are those on a port where a witness saw one.
inline explanation explain_connection(const socket_group& group, const bind_outcome& outcome,
                                      const bind_environment& environment, bool served) {
  const observed_socket& socket = group.first;
  const std::string peer = to_string(socket.remote);
  const process* const owner = socket.owners.empty() ? nullptr : &socket.owners.front();
  const port_range& ephemeral = environment.rules.ephemeral;
  if (socket.local == socket.remote) {
    const std::string who = owner == nullptr ? std::string{"a socket"}
                            : owner->relation == relation::self
                                ? descriptors_of(*owner) + " of this process"
                                : name_of(*owner);
    return {cause::self_connection,
            who + " has a connection to itself: connect() to " + peer +
                " found no listener, and the kernel had just given the client that very number",
            "close it; connect only once the server listens, and use a port outside the ephemeral "
            "range (lease_port() gives one)"};
  }
  const bool of_server = served || environment.leased || (socket.bound && socket.bound->listening);
  if (!of_server && ephemeral.contains(socket.local.port)) {
    return {cause::outgoing_connection,
            (owner != nullptr ? name_of(*owner) : std::string{"a connection"}) +
                " uses the port as the local end of a connection to " + peer + "; " +
                in_ephemeral_range(ephemeral),
            "use a port outside the ephemeral range (lease_port() gives one)"};
  }
  if (socket.owned == ownership::kernel)
    return explain_kernel_connection(group, outcome, environment);
  if (owner == nullptr) {
    return explain_unowned(socket, "a ", "connection with " + peer, environment);
  }
  const std::string holder = owner->relation == relation::self
                                 ? descriptors_of(*owner) + " of this process"
                                 : name_of(*owner);
  const bool many = owner->relation == relation::self && owner->fds.size() > 1;
  const std::string open =
      group.count == 1
          ? "the connection with " + peer + " open (" + std::string{to_string(socket.state)} + ')'
          : std::to_string(group.count) + " connections open, among them one with " + peer;
  const process* const child = find_owner(socket, relation::descendant);
  const std::string inherited = owner->relation == relation::self && child != nullptr
                                    ? ", and child " + name_of(*child) + " has inherited it"
                                    : std::string{};
  return {cause::connection_open, holder + " still " + (many ? "have " : "has ") + open + inherited,
          owner->ours() ? "also close accepted connections before the test ends"
                        : stop_holder(*owner, socket.local.port) + ", or use another port"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
