// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>

#include "place.hpp"

namespace tidewait::command {

// Who holds a port, and how they are ended: each system does it in its own way.

/// What the system needs to end a process, and no other one that got its pid.
struct holder_handle;

/// A process that holds the port.
struct port_holder {
  process who;
  int parent = 0;       ///< Who started it; 0: not known.
  std::string sockets;  ///< "LISTEN 127.0.0.1:8080"
  std::string why_not;  ///< Why it must not be ended; "" if it may.
  std::shared_ptr<holder_handle> handle{};
};

/// Who holds the port now, as far as can be seen.
struct port_holders {
  std::vector<port_holder> all;
  /// The socket table could be read, and all that may hold one of its sockets.
  bool whole = false;
  bool hidden = false;       ///< What holds one of them may be a process that is not visible here.
  std::error_code unread{};  ///< Why a process that may hold one could not be read although it may.
};

/// Searches the processes that hold sockets in the way of a bind to that place.
port_holders find_holders(protocol which, const place& where);

/// What was done.
struct ended_holders {
  std::vector<process> ended;
  std::vector<process> killed;
  std::vector<process> released;  ///< Gave the port up, and live on.
  std::vector<process> refused;
};

/// Ends those who hold the sockets that `agreed` held, and nobody else: who takes the port later
/// was not agreed to.
ended_holders end_holders(protocol which, const place& where, std::vector<port_holder> agreed,
                          std::chrono::milliseconds grace);

/// A line for each, that says by what it was ended.
std::string describe(const ended_holders& done, std::chrono::milliseconds grace);

/// What --help says of it.
struct free_help {
  const char* grace;  ///< Of --grace; null: there is no such option.
  const char* footer;
};
free_help help_on_free();

/// Notes one more socket of the process, its `count`th.
inline void add_socket(port_holder& holder, const std::string& socket, std::size_t count) {
  if (count == 1) holder.sockets = socket;
  if (count == 2) holder.sockets += " and more";
}

/// "pid 99 (server)"
inline std::string holder_title(const process& who) {
  return "pid " + std::to_string(who.pid) + " (" + who.name + ')';
}

}  // namespace tidewait::command
