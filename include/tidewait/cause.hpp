// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tidewait/detail/requirements.hpp>

namespace tidewait {
inline namespace v0 {

/// Why a port, or the name of a Unix socket, is not free.
enum class cause : std::uint8_t {
  listener_not_closed,  ///< This process still listens.
  closed_under_call,    ///< Closed while a thread waits in a system call on it.
  held_by_io_uring,     ///< A request or a registered file of an io_uring keeps it.
  in_flight,            ///< Sent with SCM_RIGHTS, and not yet received.
  kernel_socket,        ///< The kernel itself holds it, for a tunnel.
  unowned,              ///< No process holds it, and what keeps it was not found.
  inherited_by_child,   ///< A child holds the descriptor of this process's socket.
  inherited,            ///< A program has inherited the descriptor, and did not bind the socket.
  child_listens,        ///< A child process still listens.
  orphan_listens,       ///< A server of this run outlived its parent.
  listener_of_other,    ///< Another program listens there.
  leased_port_taken,    ///< A process that is not the test's took the leased port.
  bound_not_listening,  ///< Bound, neither listening nor connected.
  connection_open,      ///< A connection on the port is open or closing.
  time_wait,            ///< This side closed first.
  client_time_wait,     ///< The same of a client, which had the port as its own number.
  outgoing_connection,  ///< A client's connection happens to use the port number.
  self_connection,      ///< A client has connected to itself.
  shared_silently,      ///< Two processes listen side by side through SO_REUSEPORT.
  wildcard_covers,      ///< The address of one covers the other's.
  owner_hidden,         ///< Something is there whose owner cannot be seen.
  freed_meanwhile,      ///< It was in use a moment ago.
  ports_exhausted,      ///< A bind to port 0: the kernel has none left to give.
  loopback_down,        ///< The loopback interface is down: nobody can connect.
  excluded_port,        ///< Windows: refused, as for a port in an excluded range.
  privileged_port,      ///< Not in use: the bind needs a right.
  address_not_local,    ///< Not in use: no interface has the address.
  refused,              ///< Not in use: another error.
  not_visible,          ///< In use, and nothing can be seen.
  stale_socket_file,    ///< A Unix socket's file that nobody has open.
  not_a_socket,         ///< A file of another kind is at the path of a Unix socket.
  path_too_long,        ///< Not in use: the path of a Unix socket does not fit into sockaddr_un.
  directory_missing,    ///< Not in use: the directory of the path is not there.
  directory_denied,     ///< Not in use: no file may be made in the directory of the path.
};

/// The name as it is written here, for programs: "time_wait".
inline std::string_view to_string(cause value) noexcept {
  switch (value) {
    case cause::listener_not_closed: return "listener_not_closed";
    case cause::closed_under_call: return "closed_under_call";
    case cause::held_by_io_uring: return "held_by_io_uring";
    case cause::in_flight: return "in_flight";
    case cause::kernel_socket: return "kernel_socket";
    case cause::unowned: return "unowned";
    case cause::inherited_by_child: return "inherited_by_child";
    case cause::inherited: return "inherited";
    case cause::child_listens: return "child_listens";
    case cause::orphan_listens: return "orphan_listens";
    case cause::listener_of_other: return "listener_of_other";
    case cause::leased_port_taken: return "leased_port_taken";
    case cause::bound_not_listening: return "bound_not_listening";
    case cause::connection_open: return "connection_open";
    case cause::time_wait: return "time_wait";
    case cause::client_time_wait: return "client_time_wait";
    case cause::outgoing_connection: return "outgoing_connection";
    case cause::self_connection: return "self_connection";
    case cause::shared_silently: return "shared_silently";
    case cause::wildcard_covers: return "wildcard_covers";
    case cause::owner_hidden: return "owner_hidden";
    case cause::freed_meanwhile: return "freed_meanwhile";
    case cause::ports_exhausted: return "ports_exhausted";
    case cause::loopback_down: return "loopback_down";
    case cause::excluded_port: return "excluded_port";
    case cause::privileged_port: return "privileged_port";
    case cause::address_not_local: return "address_not_local";
    case cause::refused: return "refused";
    case cause::stale_socket_file: return "stale_socket_file";
    case cause::not_a_socket: return "not_a_socket";
    case cause::path_too_long: return "path_too_long";
    case cause::directory_missing: return "directory_missing";
    case cause::directory_denied: return "directory_denied";
    case cause::not_visible: break;
  }
  return "not_visible";
}

/// One cause, in words: what is the case, and what to change.
struct explanation {
  cause what = cause::not_visible;  ///< Which cause it is.
  std::string why;                  ///< The cause, in one sentence.
  std::string fix;  ///< What to do; may be empty if the next cause has the same remedy.
};

}  // namespace v0
}  // namespace tidewait
