// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <tidewait/bind_outcome.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/port_rules.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

inline std::string name_of(const process& owner) {
  std::string text = "pid " + std::to_string(owner.pid);
  if (!owner.name.empty()) text += " (" + owner.name + ')';
  return text;
}

/// "fd 7", "fds 7 and 9".
inline std::string descriptors_of(const process& owner) {
  std::vector<std::string> numbers;
  for (const int fd : owner.fds) numbers.push_back(std::to_string(fd));
  return (numbers.size() == 1 ? "fd " : "fds ") + joined(numbers, " and ");
}

inline const process* find_owner(const socket_entry& socket, relation which) noexcept {
  for (const process& owner : socket.owners) {
    if (owner.relation == which) return &owner;
  }
  return nullptr;
}

/// "a listening socket", as the subject of a sentence.
inline std::string kind_of(const socket_entry& socket) {
  if (socket.state == socket_state::listen) return "listener";
  if (socket.state == socket_state::bound || socket.state == socket_state::close)
    return "bound socket";
  return "connection";
}

/// Listeners and bound sockets: what a process keeps open on the port, by who holds it.
inline explanation explain_holder(const socket_entry& socket, bool leased, bool pid_namespace) {
  const bool listens = socket.state == socket_state::listen;
  const std::string local = to_string(socket.local);
  const std::string udp = socket.protocol == protocol::udp ? "UDP " : "";
  const std::string what =
      listens ? "listening"
              : (socket.protocol == protocol::udp ? "bound to the UDP port"
                                                  : "bound to the port, without listening");
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
            descriptors_of(*self) + " of this process is still " + what,
            listens ? "close the listening socket before the test ends"
                    : "close the " + udp + "socket before the test ends"};
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
    if (leased) {
      return {cause::leased_port_taken,
              name_of(*other) + ", which is not this test's, is " + what + " on the leased port",
              "a program that does not lease bound exactly this number: stop it, give it another "
              "port, or "
              "hand the server a bound socket instead of a number"};
    }
    return {listens ? cause::listener_of_other : cause::bound_not_listening,
            name_of(*other) + " is " + what + " on " + local,
            "stop that process, or use another port"};
  }
  if (socket.owned == ownership::ownerless && listens) {
    return {cause::closed_under_accept,
            "no process holds this listener: its descriptor was closed while a thread sits in "
            "accept() on it" +
                std::string{pid_namespace ? ", or its process is in another pid namespace" : ""},
            "call shutdown(fd, SHUT_RDWR) before close(fd), and join the thread"};
  }
  const std::string user = "user " + std::to_string(socket.uid);
  return {cause::owner_hidden,
          "a " + kind_of(socket) + " of " + user +
              " is on the port; the process that holds it cannot be seen",
          "look as root, or from the pid namespace of that process, to see who it is"};
}

/// Connections that a process, or the kernel alone, still has on the port.
inline explanation explain_connection(const socket_entry& socket, const port_rules& rules,
                                      bool leased) {
  const std::string peer = to_string(socket.remote);
  const process* const owner = socket.owners.empty() ? nullptr : &socket.owners.front();
  if (!leased && rules.ephemeral.contains(socket.local.port)) {
    return {cause::outgoing_connection,
            (owner != nullptr ? name_of(*owner) : std::string{"a connection"}) +
                " uses the port for a connection to " + peer + ": it lies in the ephemeral range " +
                std::to_string(rules.ephemeral.first) + '-' + std::to_string(rules.ephemeral.last),
            "take a port outside net.ipv4.ip_local_port_range: lease it"};
  }
  const std::string state{to_string(socket.state)};
  if (owner == nullptr) {
    return {cause::connection_open,
            "the connection with " + peer + " was closed here and is in " + state +
                ": the peer has not closed",
            "close the client's end too before the test ends"};
  }
  const std::string holder = owner->relation == relation::self
                                 ? descriptors_of(*owner) + " of this process"
                                 : name_of(*owner);
  return {cause::connection_open,
          holder + " still has the connection with " + peer + " open (" + state + ')',
          "close accepted connections, too, before the test ends"};
}

/// Two different addresses that meet: one is a wildcard. [::] against IPv4 is the wider of the two.
inline explanation explain_cover(const endpoint& a, const endpoint& b) {
  const bool a_is_wide = a.address.is_wildcard() && (a.address.is_v6() || !b.address.is_wildcard());
  const endpoint& wide = a_is_wide ? a : b;
  const endpoint& narrow = a_is_wide ? b : a;
  const bool across = wide.address.is_v6() && narrow.address.is_v4();
  return {cause::wildcard_covers,
          to_string(wide) + " covers " + to_string(narrow) + ": to the kernel they are one port",
          across ? "set IPV6_V6ONLY on the IPv6 socket, or bind both to specific addresses"
                 : "bind both to specific addresses"};
}

/// Explains each socket that stands in the way, and hands each explanation to `add`.
template <typename Add>
void explain_sockets(const std::vector<socket_entry>& sockets, const bind_request& request,
                     const bind_outcome& outcome, const port_rules& rules, bool leased,
                     bool pid_namespace, Add&& add) {
  std::size_t waiting = 0;
  for (const socket_entry& socket : sockets) {
    if (socket.state == socket_state::time_wait) {
      ++waiting;
      continue;
    }
    const bool holder = socket.state == socket_state::listen ||
                        socket.state == socket_state::bound || socket.state == socket_state::close;
    add(holder ? explain_holder(socket, leased, pid_namespace)
               : explain_connection(socket, rules, leased));
    if (holder && socket.local.address.unmapped() != request.local.address.unmapped()) {
      add(explain_cover(socket.local, request.local));
    }
  }
  if (waiting == 0) return;
  const bool only = waiting == sockets.size();
  add({cause::time_wait,
       (waiting == 1 ? std::string{"this side closed the connection first"}
                     : "this side closed " + std::to_string(waiting) + " connections first") +
           ", so the kernel keeps the port in TIME_WAIT",
       only && outcome.reuse_address
           ? "let the client close first, or set SO_REUSEADDR before bind on this listener and on "
             "the one before it"
           : "let the client close first, or set SO_REUSEADDR before bind"});
}

/// Two processes that listen on one endpoint, of which at least one is not ours.
inline std::optional<explanation> explain_shared_port(const std::vector<socket_entry>& sockets) {
  const process* ours = nullptr;
  const process* theirs = nullptr;
  const process* first = nullptr;
  const process* second = nullptr;
  for (const socket_entry& socket : sockets) {
    if (socket.state != socket_state::listen || socket.owners.empty()) continue;
    const process& owner = socket.owners.front();
    (owner.ours() ? ours : theirs) = &owner;
    if (first == nullptr) {
      first = &owner;
    } else if (owner.pid != first->pid) {
      second = &owner;
    }
  }
  if (second == nullptr || theirs == nullptr) return std::nullopt;
  if (ours != nullptr) {
    first = ours;
    second = theirs;
  }
  return explanation{
      cause::shared_silently,
      name_of(*first) + " and " + name_of(*second) +
          " listen on one port through SO_REUSEPORT: no bind fails, and each answers some of "
          "the other's clients",
      "do not set SO_REUSEPORT on a test server; lease the port"};
}

/// A bind that was refused for another reason than a socket in the way.
inline explanation explain_refusal(const bind_request& request, const std::error_code& error,
                                   const port_rules& rules) {
  if (error == std::errc::permission_denied && request.local.port < rules.unprivileged_start) {
    return {cause::privileged_port,
            "not in use: ports below " + std::to_string(rules.unprivileged_start) +
                " need a right (net.ipv4.ip_unprivileged_port_start)",
            "use a port from " + std::to_string(rules.unprivileged_start) +
                " on, or give the program CAP_NET_BIND_SERVICE"};
  }
  if (error == std::errc::address_not_available) {
    return {cause::address_not_local,
            "not in use: no interface of this network namespace has the address " +
                to_string(request.local.address),
            "bind an address of this machine (`ip address` lists them), or bring the interface up"};
  }
  return {cause::refused, "not in use: the system answers \"" + error.message() + '"',
          "see bind(2) for what this error means here"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
