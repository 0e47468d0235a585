// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/journal.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

inline std::string_view to_string(journal_event event) noexcept {
  switch (event) {
    case journal_event::listening: return "listening";
    case journal_event::shared: return "shared";
    case journal_event::left_behind: break;
  }
  return "left_behind";
}

inline std::optional<journal_event> parse_journal_event(std::string_view text) noexcept {
  for (const auto event :
       {journal_event::listening, journal_event::left_behind, journal_event::shared}) {
    if (text == to_string(event)) return event;
  }
  return std::nullopt;
}

}  // namespace detail

TIDEWAIT_INLINE std::string to_json_line(const journal_entry& entry) {
  detail::json_line line;
  line.add("journal", 1);
  line.add("event", detail::to_string(entry.event));
  line.add("test", entry.test);
  line.add("ctest", entry.ctest_name);
  line.add("protocol", to_string(entry.socket.protocol));
  line.add("state", to_string(entry.socket.state));
  line.add("local", to_string(entry.socket.local));
  // As strings, since 64 bits are more than a JSON number has.
  line.add("cookie", std::to_string(entry.socket.cookie));
  line.add("namespace", std::to_string(entry.net_cookie));
  line.add("pid", static_cast<std::uint64_t>(entry.pid));
  line.add("run", entry.run);
  line.add("command", entry.command);
  line.add("leased_at", entry.leased_at);
  line.add("time", entry.time);
  if (entry.reported) line.add("reported", 1);
  detail::add_origin(line, entry.host, entry.boot, entry.uptime);
  return line.text();
}

TIDEWAIT_INLINE std::optional<journal_entry> parse_journal_line(std::string_view text) {
  constexpr auto most_pid = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
  const std::string_view start = detail::journal_line_start;
  if (text.substr(0, start.size()) != start) return std::nullopt;
  const detail::json_fields fields = detail::parse_json_line(text);
  const auto event = detail::parse_journal_event(fields.find("event").value_or(""));
  const auto protocol_set = detail::parse_protocol(fields.find("protocol").value_or(""));
  const auto local = parse_endpoint(fields.find("local").value_or(""));
  const auto state = parse_socket_state(fields.find("state").value_or(""));
  const auto cookie = fields.number("cookie");
  const auto net_cookie = fields.number("namespace");
  const auto pid = fields.number("pid");
  const auto time = fields.number("time");
  if (!event || !protocol_set || !local || !state || !cookie || !net_cookie || !time || !pid ||
      *pid > most_pid) {
    return std::nullopt;
  }
  journal_entry entry;
  entry.event = *event;
  entry.test = detail::sanitised(fields.find("test").value_or(""));
  entry.ctest_name = detail::sanitised(fields.find("ctest").value_or(""));
  entry.socket.protocol = *protocol_set;
  entry.socket.state = *state;
  entry.socket.local = *local;
  entry.socket.cookie = *cookie;
  entry.net_cookie = *net_cookie;
  entry.pid = static_cast<int>(*pid);
  entry.run = detail::sanitised(fields.find("run").value_or(""));
  entry.command = detail::sanitised(fields.find("command").value_or(""));
  entry.leased_at = detail::sanitised(fields.find("leased_at").value_or(""));
  entry.time = *time;
  entry.reported = fields.number("reported") == 1;
  entry.host = detail::sanitised(fields.find("host").value_or(""));
  entry.boot = detail::sanitised(fields.find("boot").value_or(""));
  entry.uptime = fields.number("uptime").value_or(0);
  return entry;
}

TIDEWAIT_INLINE std::string_view journal_path() noexcept {
  const char* const path = detail::environment(journal_variable);
  return path == nullptr ? "" : path;
}

TIDEWAIT_INLINE std::error_code append_journal(const std::vector<journal_entry>& entries) {
  if (entries.empty() || journal_path().empty()) return {};
  return detail::write_journal_lines(entries).error;
}

TIDEWAIT_INLINE std::vector<journal_entry> read_journal() {
  return detail::read_journal_entries(parse_journal_line);
}

}  // namespace v0
}  // namespace tidewait
