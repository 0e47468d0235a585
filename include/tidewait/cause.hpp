// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

namespace tidewait {
inline namespace v0 {

/// Why a port is not free.
enum class cause : std::uint8_t {
  listener_not_closed,  ///< This process still listens.
  closed_under_accept,  ///< Closed while a thread sits in accept() on it.
  inherited_by_child,   ///< A child holds the descriptor of this process's socket.
  child_listens,        ///< A child process still listens.
  orphan_listens,       ///< A server of this run outlived its parent.
  listener_of_other,    ///< Another program listens there.
  leased_port_taken,    ///< A process that is not the test's took the leased port.
  bound_not_listening,  ///< Bound, neither listening nor connected.
  connection_open,      ///< A connection on the port is open or closing.
  time_wait,            ///< This side closed first.
  outgoing_connection,  ///< A client's connection happens to use the port number.
  shared_silently,      ///< Two processes listen side by side through SO_REUSEPORT.
  wildcard_covers,      ///< The address of one covers the other's.
  owner_hidden,         ///< Something is there whose owner cannot be seen.
  privileged_port,      ///< Not in use: the bind needs a right.
  address_not_local,    ///< Not in use: no interface has the address.
  refused,              ///< Not in use: another error.
  not_visible,          ///< In use, and nothing can be seen.
};

/// One cause, in words: what is the case, and what to change.
struct explanation {
  cause what = cause::not_visible;
  std::string why;
  std::string fix;
};

}  // namespace v0
}  // namespace tidewait
