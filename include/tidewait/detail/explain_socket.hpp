// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/explain_connection.hpp>
#include <tidewait/detail/explain_unowned.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/detail/socket_groups.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Listeners and bound sockets: what a process keeps open on the port, by who holds it.
inline explanation explain_holder(const observed_socket& socket,
                                  const bind_environment& environment) {
  const bool listens = socket.state == socket_state::listen;
  const bool udp = socket.protocol == protocol::udp;
  const std::string what =
      listens ? "listening"
              : (udp ? "bound to the UDP port" : "bound to the port, without listening");
  const process* const self = find_owner(socket, relation::self);
  const process* const child = find_owner(socket, relation::descendant);
  if (self != nullptr && child != nullptr) {
    return {cause::inherited_by_child,
            descriptors_of(*self) + " of this process is still " + what + ", and child " +
                name_of(*child) + " has inherited it as " + descriptors_of(*child),
            "close the socket before the test ends, and open it with SOCK_CLOEXEC so that no child "
            "keeps it"};
  }
  if (self != nullptr) {
    return {listens ? cause::listener_not_closed : cause::bound_not_listening,
            descriptors_of(*self) + " of this process " + (self->fds.size() > 1 ? "are" : "is") +
                " still " + what,
            listens
                ? "close the listening socket before the test ends"
                : std::string{"close the "} + (udp ? "UDP " : "") + "socket before the test ends"};
  }
  if (child != nullptr) {
    return {listens ? cause::child_listens : cause::inherited_by_child,
            "child " + name_of(*child) + " is still " + what + " (" + descriptors_of(*child) + ")",
            "stop that process before the test ends; if it only inherited the descriptor, open the "
            "socket with SOCK_CLOEXEC"};
  }
  if (const process* const orphan = find_owner(socket, relation::marked_orphan)) {
    return {
        cause::orphan_listens,
        name_of(*orphan) + ", started in this run, has outlived its parent and is still " + what,
        "end the server together with what started it: terminate its whole process group and wait "
        "for it"};
  }
  if (const process* const other = find_owner(socket, relation::other)) {
    if (environment.leased) {
      return {cause::leased_port_taken,
              name_of(*other) + ", which is not this test's, is " + what + " on the leased port",
              "a program that does not lease bound exactly this number: stop it, give it another "
              "port, or hand the server a bound socket instead of a number"};
    }
    return {listens ? cause::listener_of_other : cause::bound_not_listening,
            name_of(*other) + " is " + what + (listens ? " on " : ": ") + to_string(socket.local),
            socket.test.empty() || socket.left_behind
                ? "stop that process, or use another port"
                : "lease a port in each of the two tests (lease_port), or keep them apart "
                  "(FIXED_PORTS in CMake); if the other test has ended, stop that process"};
  }
  return explain_unowned(socket, "a ",
                         listens ? "listener"
                         : udp   ? "UDP socket"
                                 : "bound socket",
                         environment);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
