// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string name_of(const process& owner) {
  std::string text = "pid " + std::to_string(owner.pid);
  if (!owner.name.empty()) text += " (" + owner.name + ')';
  return text;
}

/// "fd 7", "fds 7, 8 and 9", "fds 7, 8, 9 and 4 more".
inline std::string descriptors_of(const process& owner) {
  constexpr std::size_t most = 4;
  std::vector<std::string> numbers;
  for (const int fd : owner.fds) numbers.push_back(std::to_string(fd));
  if (numbers.size() > most) {
    const std::size_t more = numbers.size() - most + 1;
    numbers.resize(most - 1);
    numbers.push_back(std::to_string(more) + " more");
  }
  if (numbers.size() < 2) return "fd " + joined(numbers, "");
  const std::string last = numbers.back();
  numbers.pop_back();
  return "fds " + joined(numbers, ", ") + " and " + last;
}

inline const process* find_owner(const observed_socket& socket, relation which) noexcept {
  for (const process& owner : socket.owners) {
    if (owner.relation == which) return &owner;
  }
  return nullptr;
}

/// What a process keeps open on the port, as opposed to connections.
inline bool is_holder(const observed_socket& socket) noexcept {
  return socket.state == socket_state::listen || socket.state == socket_state::bound ||
         socket.state == socket_state::unconn;
}

/// Sockets that one sentence explains: of one kind, held by the same processes. The first stands
/// for all; its owners have the descriptors of all.
struct socket_group {
  observed_socket first;
  std::size_t count = 1;
};

/// Whether one sentence can explain both. Connections that somebody holds are alike in any state.
inline bool alike(const observed_socket& a, const observed_socket& b) noexcept {
  const bool held = !is_holder(a) && !is_holder(b) && !a.owners.empty() && !b.owners.empty();
  return a.protocol == b.protocol && (held || a.state == b.state) && a.owned == b.owned &&
         (a.uid == b.uid || held) &&
         std::equal(a.owners.begin(), a.owners.end(), b.owners.begin(), b.owners.end(),
                    [](const process& x, const process& y) { return x.pid == y.pid; });
}

inline std::vector<socket_group> grouped(const std::vector<observed_socket>& sockets) {
  std::vector<socket_group> groups;
  for (const observed_socket& socket : sockets) {
    if (socket.state == socket_state::time_wait) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const socket_group& group) {
      return alike(group.first, socket);
    });
    if (same == groups.end()) {
      groups.push_back({socket});
      continue;
    }
    ++same->count;
    for (std::size_t i = 0; i < socket.owners.size(); ++i) {
      std::vector<int>& fds = same->first.owners[i].fds;
      fds.insert(fds.end(), socket.owners[i].fds.begin(), socket.owners[i].fds.end());
    }
  }
  for (socket_group& group : groups) {
    for (process& owner : group.first.owners) std::sort(owner.fds.begin(), owner.fds.end());
  }
  return groups;
}

/// What would show the holder of a socket that is hidden.
inline std::string show_owner(const observed_socket& socket, const bind_environment& environment) {
  std::string fix = "look as root (CAP_SYS_PTRACE) or as user " + std::to_string(socket.uid);
  if (environment.owners == owner_view::no_proc) fix = "mount /proc";
  if (environment.pid_namespace) fix += ", from outside this pid namespace,";
  fix += " to see which process it is";
  return environment.owners == owner_view::hidepid ? fix + " (/proc is mounted with hidepid)" : fix;
}

/// A socket of which no process is known, of a kind that somebody must hold.
inline explanation explain_unowned(const observed_socket& socket, const std::string& what,
                                   const bind_environment& environment) {
  if (socket.owned != ownership::ownerless) {
    return {cause::owner_hidden,
            "user " + std::to_string(socket.uid) + " has " + what +
                " on the port, in a process that cannot be seen",
            show_owner(socket, environment)};
  }
  const bool listens = socket.state == socket_state::listen;
  if (socket.state == socket_state::bound) {
    return {cause::owner_hidden, "no process that can be seen holds the bound socket on the port",
            "look again, and from outside of containers: it is on its way from one process to "
            "another, or in another pid namespace"};
  }
  return {cause::closed_under_accept,
          "no process holds this " + std::string{listens ? "listener" : "socket"} +
              ": its descriptor was closed while a thread sits in " +
              (listens ? "accept()" : "recv()") + " on it" +
              (environment.pid_namespace ? ", or its process is in another pid namespace" : ""),
          "call shutdown(fd, SHUT_RDWR) before close(fd), and join the thread"};
}

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
  return explain_unowned(socket, listens ? "a listener" : "a bound socket", environment);
}

/// Connections that the kernel alone has on the port: no process holds them, by nature.
inline explanation explain_kernel_connection(const socket_group& group) {
  const observed_socket& socket = group.first;
  const std::string peer = to_string(socket.remote);
  const std::string state{to_string(socket.state)};
  const bool one = group.count == 1;
  const std::string subject =
      one ? "the connection with " + peer
          : std::to_string(group.count) + " connections, one with " + peer + ',';
  switch (socket.state) {
    case socket_state::syn_recv:
    case socket_state::established:
    case socket_state::close_wait:
      return {cause::connection_open,
              subject + (one ? " waits" : " wait") +
                  " in the listener's queue: no accept() has taken " + (one ? "it" : "them"),
              "closing the listener ends what waits for it; or accept and close"};
    case socket_state::fin_wait2:
      return {cause::connection_open,
              subject + (one ? " was" : " were") + " closed here and " + (one ? "is" : "are") +
                  " in " + state + ": the peer has not closed",
              "close the client's end too before the test ends"};
    default:
      return {cause::connection_open,
              subject + (one ? " was" : " were") + " closed here and " + (one ? "is" : "are") +
                  " in " + state + ": the peer has not acknowledged it",
              "it passes once the peer answers; close the client's end before the test ends"};
  }
}

/// Connections that a process, or the kernel alone, still has on the port. `served`: a listener is
/// on the same port, so that they are its clients'.
inline explanation explain_connection(const socket_group& group,
                                      const bind_environment& environment, bool served) {
  const observed_socket& socket = group.first;
  const std::string peer = to_string(socket.remote);
  const process* const owner = socket.owners.empty() ? nullptr : &socket.owners.front();
  const port_range& ephemeral = environment.rules.ephemeral;
  if (!served && !environment.leased && ephemeral.contains(socket.local.port)) {
    return {cause::outgoing_connection,
            (owner != nullptr ? name_of(*owner) : std::string{"a connection"}) +
                " uses the port for a connection to " + peer + ": it lies in the ephemeral range " +
                std::to_string(ephemeral.first) + '-' + std::to_string(ephemeral.last),
            "take a port outside net.ipv4.ip_local_port_range: lease it"};
  }
  if (socket.owned == ownership::kernel) return explain_kernel_connection(group);
  const std::string what = group.count == 1 ? "the connection with " + peer
                                            : std::to_string(group.count) +
                                                  " connections, among them one with " + peer + ',';
  if (owner == nullptr) return explain_unowned(socket, what, environment);
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
          owner->ours() ? "close accepted connections, too, before the test ends"
                        : "stop that process, or use another port"};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
