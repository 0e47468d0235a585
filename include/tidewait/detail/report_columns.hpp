// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string keeper_text(const socket_keeper& keeper) {
  const std::string who = "pid " + std::to_string(keeper.who.pid) + ' ' + keeper.who.name;
  switch (keeper.kind) {
    case keeper_kind::thread: return who + " thread " + std::to_string(keeper.who.thread);
    case keeper_kind::io_uring: return who + " io_uring";
    case keeper_kind::message: return who + " (in flight)";
    case keeper_kind::mptcp:
    case keeper_kind::kernel: break;
  }
  return "kernel: " + keeper.what;
}

inline std::string owner_text(const observed_socket& socket) {
  if (socket.time_left) return "kernel, " + to_text(*socket.time_left) + " left";
  switch (socket.owned) {
    case ownership::kernel: return "kernel";
    case ownership::ownerless:
    case ownership::outside: return socket.keeper ? keeper_text(*socket.keeper) : "nobody";
    case ownership::hidden: return unseen_owner(socket);
    case ownership::not_searched: return "not looked for";
    case ownership::found: break;
  }
  if (socket.owners.empty()) return "-";
  const process& owner = socket.owners.front();
  std::string text = "pid " + std::to_string(owner.pid) + ' ' + owner.name;
  if (!owner.fds.empty()) text += " fd " + std::to_string(owner.fds.front());
  if (socket.owners.size() > 1)
    text += " and " + std::to_string(socket.owners.size() - 1) + " more";
  return text;
}

inline std::string kind_text(const observed_socket& socket) {
  if (socket.state == socket_state::time_wait) return "this side closed first";
  if (socket.owners.empty() || socket.owners.front().relation == relation::self) return "-";
  const std::string_view command = without_directory(socket.owners.front().command);
  return command.empty() ? "-" : clipped(command, 60);
}

/// What a row adds that the owner's name does not say. `last`: the bind of the row above.
inline std::string note_text(const observed_socket& socket, const bind_record* last) {
  const std::string kind = kind_text(socket);
  if (!socket.bound || socket.bound.get() == last) return kind;
  const std::string where = bound_at(*socket.bound);
  if (where.empty()) return kind;
  return (kind == "-" ? "" : kind + '\n') + "bound at " + where + '\n';
}

/// "0.0.0.0:53", "0.0.0.0%eth0:53" as ss(8) has it.
inline std::string local_text(const observed_socket& socket) {
  std::string text = to_string(socket.local);
  if (socket.interface_name.empty() || socket.local.address.scope_id() != 0) return text;
  const auto colon = text.rfind(':');
  const bool bracket = colon != 0 && colon != std::string::npos && text[colon - 1] == ']';
  return text.insert(colon == std::string::npos ? text.size() : colon - (bracket ? 1 : 0),
                     '%' + socket.interface_name);
}

inline std::string state_text(const observed_socket& socket) {
  if (socket.protocol == protocol::tcp) return std::string{to_string(socket.state)};
  return socket.state == socket_state::established ? "UDP connected" : "UDP";
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
