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

#include <tidewait/bind_journal.hpp>
#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/json_line.hpp>

namespace tidewait {
inline namespace v0 {

namespace detail {

/// With its number, also where that is 0.
inline std::string place_with_port(const endpoint& where) {
  const std::string text = to_string(where);
  return where.port == 0 ? text.substr(0, text.size() - 1) + '0' : text;
}

/// Nothing, and false, if a field is there and is no endpoint.
inline bool read_place(const json_fields& fields, std::string_view key,
                       std::optional<endpoint>& place) {
  const auto text = fields.find(key);
  if (!text) return true;
  place = parse_endpoint(*text);
  return place.has_value();
}

}  // namespace detail

TIDEWAIT_INLINE std::string to_json_line(const bind_entry& entry) {
  detail::json_line line;
  const auto flag = [&](std::string_view key, bool set) {
    if (set) line.add(key, 1);
  };
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) line.add(key, value);
  };
  line.add("journal", 1);
  line.add("event", entry.error == 0 ? "bound" : "bind_failed");
  line.add("test", entry.test);
  line.add("ctest", entry.ctest_name);
  line.add("protocol", to_string(entry.protocol));
  if (entry.asked) line.add("asked", detail::place_with_port(*entry.asked));
  if (entry.got) line.add("got", detail::place_with_port(*entry.got));
  flag("kernel_chose_port", entry.kernel_chose_port);
  flag("reuse_address", entry.reuse_address);
  flag("reuse_port", entry.reuse_port);
  flag("v6only", entry.ipv6_only == ipv6_only::yes);
  flag("listening", entry.listening);
  line.add("error", static_cast<std::uint64_t>(entry.error));
  flag("inferred", entry.inferred);
  text("held_by", entry.held_by);
  line.add("cookie", std::to_string(entry.cookie));
  line.add("namespace", std::to_string(entry.net_cookie));
  line.add("pid", static_cast<std::uint64_t>(entry.pid));
  line.add("run", entry.run);
  text("command", entry.command);
  text("place", entry.place);
  text("stack", entry.stack);
  line.add("time", entry.time);
  line.add("count", entry.count);
  detail::add_origin(line, entry.host, entry.boot, entry.uptime);
  return line.text();
}

TIDEWAIT_INLINE std::optional<bind_entry> parse_bind_line(std::string_view text) {
  constexpr auto most_int = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
  const std::string_view start = detail::journal_line_start;
  if (text.substr(0, start.size()) != start) return std::nullopt;
  const detail::json_fields fields = detail::parse_json_line(text);
  const auto event = fields.find("event");
  const auto which = detail::parse_protocol(fields.find("protocol").value_or(""));
  const auto error = fields.number("error");
  const auto cookie = fields.number("cookie");
  const auto net_cookie = fields.number("namespace");
  const auto pid = fields.number("pid");
  const auto time = fields.number("time");
  const auto count = fields.number("count");
  if ((event != "bound" && event != "bind_failed") || !which || !error || !cookie || !net_cookie ||
      !pid || !time || !count || *error > most_int || *pid > most_int || *count == 0 ||
      (event == "bound") != (*error == 0)) {
    return std::nullopt;
  }
  bind_entry entry;
  if (!detail::read_place(fields, "asked", entry.asked) ||
      !detail::read_place(fields, "got", entry.got)) {
    return std::nullopt;
  }
  const auto words = [&](std::string_view key) {
    return detail::sanitised(fields.find(key).value_or(""));
  };
  const auto flag = [&](std::string_view key) { return fields.number(key) == 1; };
  entry.test = words("test");
  entry.ctest_name = words("ctest");
  entry.protocol = *which;
  entry.kernel_chose_port = flag("kernel_chose_port");
  entry.reuse_address = flag("reuse_address");
  entry.reuse_port = flag("reuse_port");
  if (flag("v6only")) entry.ipv6_only = ipv6_only::yes;
  entry.listening = flag("listening");
  entry.error = static_cast<int>(*error);
  entry.inferred = flag("inferred");
  entry.held_by = words("held_by");
  entry.cookie = *cookie;
  entry.net_cookie = *net_cookie;
  entry.pid = static_cast<int>(*pid);
  entry.run = words("run");
  entry.command = words("command");
  entry.place = words("place");
  entry.stack = words("stack");
  entry.time = *time;
  entry.count = *count;
  entry.host = words("host");
  entry.boot = words("boot");
  entry.uptime = fields.number("uptime").value_or(0);
  return entry;
}

TIDEWAIT_INLINE std::error_code append_journal(std::vector<bind_entry> entries) {
  if (entries.empty() || journal_path().empty()) return {};
  const std::uint64_t now = detail::wall_clock();
  const std::uint64_t up = detail::uptime();
  for (bind_entry& entry : entries) {
    const std::uint64_t ago = now > entry.time ? (now - entry.time) * 1000 : 0;
    if (entry.boot.empty() && ago < up) {
      entry.host = detail::host_name();
      entry.boot = detail::boot_id();
      entry.uptime = up - ago;
    }
  }
  return detail::write_journal_lines(entries).error;
}

TIDEWAIT_INLINE std::vector<bind_entry> read_bind_journal() {
  return detail::read_journal_entries(parse_bind_line);
}

}  // namespace v0
}  // namespace tidewait
