// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/call_path.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "UDP 127.0.0.1:8080", or the path of a Unix socket.
inline std::string place_of(const bind_record& record) {
  const std::optional<endpoint>& where =
      record.asked && record.asked->port != 0 ? record.asked : record.got;
  if (!where) return record.path.empty() ? "a socket" : sanitised(record.path);
  return (record.kind == bound_kind::udp ? "UDP " : "") + to_string(*where);
}

/// "echo_server.cpp:12 (echo_server::echo_server)", and below it from where that was called; empty
/// if the stack of the bind is not known.
inline std::string bound_at(const bind_record& record) {
  const call_path path = find_call_path(record.stack);
  std::vector<const code_place*> places{path.made_at, path.called_from};
  if (record.whole_stack) {
    places.clear();
    for (const code_place& each : record.stack) places.push_back(&each);
  }
  std::string text;
  for (const code_place* const each : places) {
    if (each == nullptr) continue;
    text += (text.empty() ? "" : "\ncalled from ") + to_text(*each);
  }
  return text;
}

/// A server that other machines can reach.
inline std::string describe_wildcard(const bind_record& record) {
  std::string text = "serves on the wildcard address " + place_of(record) + '\n';
  const std::string where = bound_at(record);
  if (!where.empty()) text += "bound at " + where + '\n';
  const bool six = record.got && record.got->address.is_v6();
  return text + "why: every machine that reaches this one can connect\nfix: bind to " +
         (six ? "::1" : "127.0.0.1") + '\n';
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
