// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/explain_connection.hpp>
#include <tidewait/detail/explain_unowned.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/detail/socket_groups.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Who has bound the socket, as far as that can be told, rather than who has inherited it.
inline const process* find_binder(const observed_socket& socket, relation which) noexcept {
  const process* first = nullptr;
  for (const process& owner : socket.owners) {
    if (owner.relation != which) continue;
    if (!owner.inherited) return &owner;
    if (first == nullptr) first = &owner;
  }
  return first;
}

/// A program that has the socket only because nobody kept it from inheriting it.
inline explanation explain_inherited(const process& owner, const std::string& kind,
                                     const std::string& who, bool ours) {
  return {cause::inherited,
          who + " has inherited the " + kind + " (" + descriptors_of(owner) +
              ") from the program that bound it, and keeps it open",
          "open the socket with SOCK_CLOEXEC in that program, so that its children do not inherit "
          "it; " +
              std::string{ours ? "until then, stop " : "to free the port now, stop "} +
              name_of(owner)};
}

/// A process outside of this process tree that keeps a socket open on the port.
inline explanation explain_other(const process& other, const observed_socket& socket,
                                 const std::string& what, const std::string& kind,
                                 const bind_environment& environment) {
  const bool listens = socket.state == socket_state::listen;
  if (environment.leased) {
    return {
        cause::leased_port_taken,
        holder_name(other) + ", which this test did not start, is " + what + " on the leased port",
        "a program that does not lease bound exactly this number: stop it, give it another "
        "port, or hand the server a bound socket instead of a number"};
  }
  if (other.inherited) return explain_inherited(other, kind, holder_name(other), false);
  const port_range& range = environment.rules.ephemeral;
  const bool ephemeral = range.contains(socket.local.port);
  std::string why =
      holder_name(other) + " is " + what + (listens ? " on " : ": ") + to_string(socket.local);
  if (ephemeral) why += "; " + in_ephemeral_range(range);
  for (const process& each : socket.owners) {
    if (!each.inherited) continue;
    return {listens ? cause::listener_of_other : cause::bound_not_listening,
            why + "; " + name_of(each) + " has inherited the " + kind,
            "stop both, and open the socket with SOCK_CLOEXEC, so that what the server starts does "
            "not keep it"};
  }
  const bool by_test = !socket.test.empty() && !socket.left_behind;
  const std::string other_port =
      ephemeral ? "use a port outside the ephemeral range (lease_port() gives one)"
                : "use another port";
  return {listens ? cause::listener_of_other : cause::bound_not_listening, why,
          by_test ? "lease a port in each of the two tests (lease_port), or keep them apart "
                    "(FIXED_PORTS in CMake); if the other test has ended, stop that process"
                  : stop_holder(other, socket.local.port) + ", or " + other_port};
}

/// Listeners and bound sockets: what a process keeps open on the port, by who holds it.
inline explanation explain_holder(const observed_socket& socket,
                                  const bind_environment& environment) {
  const bool listens = socket.state == socket_state::listen;
  const bool udp = socket.protocol == protocol::udp;
  const std::string what =
      listens ? "listening"
              : (udp ? "bound to the UDP port" : "bound to the port, without listening");
  const std::string kind = listens ? "listening socket" : udp ? "UDP socket" : "bound socket";
  const process* const self = find_owner(socket, relation::self);
  const process* const child = find_binder(socket, relation::descendant);
  if (self != nullptr && child != nullptr) {
    return {cause::inherited_by_child,
            descriptors_of(*self) + " of this process is still " + what + ", and child " +
                name_of(*child) + " has inherited it as " + descriptors_of(*child),
            std::string{"close the socket before the test ends, and "} + keep_from_children};
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
    if (child->inherited) return explain_inherited(*child, kind, "child " + name_of(*child), true);
    return {listens ? cause::child_listens : cause::inherited_by_child,
            "child " + name_of(*child) + " is still " + what +
                (child->fds.empty() ? "" : " (" + descriptors_of(*child) + ')'),
            std::string{"stop that process before the test ends; "} + if_only_inherited};
  }
  if (const process* const orphan = find_binder(socket, relation::marked_orphan)) {
    const std::string who = name_of(*orphan) + ", started in this run, has outlived its parent and";
    if (orphan->inherited) return explain_inherited(*orphan, kind, who, true);
    return {
        cause::orphan_listens, who + " is still " + what,
        "end the server together with what started it: terminate its whole process group and wait "
        "for it"};
  }
  if (const process* const other = find_binder(socket, relation::other)) {
    return explain_other(*other, socket, what, kind, environment);
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
