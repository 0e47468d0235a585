// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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

/// Who serves on one socket, of those with one relation to the caller: a master and its workers, or
/// workers whose master has ended.
struct serving_processes {
  std::vector<const process*> heads{};  ///< Those that none of the others has started.
  std::size_t below = 0;                ///< How many the heads have started.

  std::size_t count() const noexcept { return heads.size() + below; }
  /// " and 4 that it started", " and 3 more"; "" for one process alone.
  std::string others() const {
    if (count() < 2) return {};
    return heads.size() == 1 ? " and " + std::to_string(below) + " that it started"
                             : " and " + std::to_string(count() - 1) + " more";
  }
  const char* verb() const noexcept { return count() < 2 ? " is " : " are "; }
};

/// Who has bound the socket, as far as that can be told; only if nobody has, who has inherited it.
inline serving_processes find_binders(const observed_socket& socket, relation which) {
  serving_processes found;
  const process* heir = nullptr;
  const auto is_among = [&](int pid, const process& but) {
    return std::any_of(socket.owners.begin(), socket.owners.end(), [&](const process& each) {
      return each.pid == pid && each.pid != but.pid && each.relation == which && !each.inherited;
    });
  };
  int last = 0;
  for (const process& owner : socket.owners) {
    if (owner.relation != which || owner.pid == last) continue;
    last = owner.pid;  // its threads may have tables of their own
    if (owner.inherited) {
      if (heir == nullptr) heir = &owner;
    } else if (is_among(owner.started_by, owner)) {
      ++found.below;
    } else {
      found.heads.push_back(&owner);
    }
  }
  if (found.heads.empty() && heir != nullptr) found.heads.push_back(heir);
  return found;
}

/// How to stop them so that none keeps the port.
inline std::string stop_serving(const serving_processes& all, std::uint16_t port, bool udp) {
  const process& first = *all.heads.front();
  if (all.count() < 2 || !stop_managed(first, port).empty()) return stop_holder(first, port);
  if (all.heads.size() == 1) {
    return "stop pid " + std::to_string(first.pid) +
           " by SIGTERM, so that it ends the others (after `kill -9` they keep the port)" +
           may_start_again(first);
  }
  constexpr std::size_t most = 8;
  std::string pids;
  for (const process* each : all.heads) pids += ' ' + std::to_string(each->pid);
  return "stop them all: `" +
         (all.heads.size() <= most
              ? "kill" + pids
              : "tidewait free " + std::to_string(port) + (udp ? " --udp" : "")) +
         '`';
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

/// Processes outside of this process tree that keep a socket open on the port.
inline explanation explain_other(const serving_processes& others, const observed_socket& socket,
                                 const std::string& what, const std::string& kind,
                                 const bind_environment& environment) {
  const process& other = *others.heads.front();
  const bool listens = socket.state == socket_state::listen;
  const bool udp = socket.protocol == protocol::udp;
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
  std::string why = holder_name(other) + others.others() + others.verb() + what +
                    (listens ? " on " : ": ") + to_string(socket.local) + only_on(socket);
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
                  : stop_serving(others, socket.local.port, udp) + ", or " + other_port};
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
  const serving_processes children = find_binders(socket, relation::descendant);
  const process* const child = children.heads.empty() ? nullptr : children.heads.front();
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
            "child " + name_of(*child) + children.others() + children.verb() + "still " + what +
                (child->fds.empty() ? "" : " (" + descriptors_of(*child) + ')'),
            std::string{children.count() < 2 ? "stop that process" : "stop them all"} +
                " before the test ends; " + if_only_inherited};
  }
  const serving_processes orphans = find_binders(socket, relation::marked_orphan);
  if (!orphans.heads.empty()) {
    const process& orphan = *orphans.heads.front();
    const bool one = orphans.count() < 2;
    const std::string who =
        name_of(orphan) + orphans.others() + ", started in this run, " +
        (one ? "has outlived its parent and" : "have outlived their parent and");
    if (orphan.inherited) return explain_inherited(orphan, kind, who, true);
    return {
        cause::orphan_listens, who + orphans.verb() + "still " + what,
        "stop the server together with what started it: signal the whole process group, and wait "
        "for it"};
  }
  const serving_processes others = find_binders(socket, relation::other);
  if (!others.heads.empty()) return explain_other(others, socket, what, kind, environment);
  return explain_unowned(socket, "a ",
                         listens ? "listener"
                         : udp   ? "UDP socket"
                                 : "bound socket",
                         environment);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
