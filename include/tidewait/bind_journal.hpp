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

#include <tidewait/bind.hpp>
#include <tidewait/journal.hpp>

namespace tidewait {
inline namespace v0 {

/// What the journal says of one bind(2) or listen(2) that a witness has recorded: of TCP and UDP
/// over IPv4 and IPv6. Calls that agree in all but the time share one line.
struct bind_entry {
  std::string test{};        ///< As its watch calls it, or its launcher.
  std::string ctest_name{};  ///< TIDEWAIT_TEST of the process that made the call; may be empty.
  tidewait::protocol protocol = protocol::tcp;  ///< TCP or UDP; for a Unix socket see `path`.
  std::optional<endpoint> asked{};  ///< Port 0: the kernel was to choose. Nothing: listen(2) alone.
  std::optional<endpoint> got{};    ///< Nothing: it failed, or the port is not known.
  bool kernel_chose_port = false;   ///< Nobody asks for that number again.
  bool reuse_address = false;       ///< SO_REUSEADDR
  bool reuse_port = false;          ///< SO_REUSEPORT
  tidewait::ipv6_only ipv6_only = ipv6_only::no;  ///< IPV6_V6ONLY of the socket.
  bool listening = false;        ///< listen(2) was called, and has not failed as far as is known.
  int error = 0;                 ///< errno of the call; 0: it succeeded.
  bool inferred = false;         ///< How it ended is known from a probe, not from the call itself.
  std::string held_by{};         ///< Of one that failed: who had the port then; may be empty.
  std::uint64_t cookie = 0;      ///< SO_COOKIE of the socket; 0: not known.
  std::uint64_t net_cookie = 0;  ///< Its network namespace (SO_NETNS_COOKIE); 0: not known.
  int pid = 0;                   ///< The process that made the call.
  std::string run{};             ///< The mark of the run (TIDEWAIT_RUN).
  std::string command{};         ///< The name of that process; may be empty.
  std::string place{};       ///< Where in its code, "file:line" or "module+0x12"; empty: not known.
  std::uint64_t time = 0;    ///< Milliseconds since 1970, of the first call.
  std::uint64_t count = 1;   ///< How many calls this line is about.
  std::string host{};        ///< As of a `journal_entry`; `append_journal` fills in these three.
  std::string boot{};        ///< Boot id of the machine (random(4)).
  std::uint64_t uptime = 0;  ///< Microseconds since the machine was started (CLOCK_BOOTTIME).
};

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

/// One entry as a line of the journal, with its end: event `bound`, or `bind_failed` where `error`
/// says so.
inline std::string to_json_line(const bind_entry& entry) {
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
  line.add("time", entry.time);
  line.add("count", entry.count);
  detail::add_origin(line, entry.host, entry.boot, entry.uptime);
  return line.text();
}

/// Reads one such line; nothing if it is torn, of another version of the format, or of another
/// event. Fields that are not known are passed over.
inline std::optional<bind_entry> parse_bind_line(std::string_view text) {
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
  entry.time = *time;
  entry.count = *count;
  entry.host = words("host");
  entry.boot = words("boot");
  entry.uptime = fields.number("uptime").value_or(0);
  return entry;
}

/// Appends to the journal of this run, if there is one, as `append_journal` does for sockets.
inline std::error_code append_journal(std::vector<bind_entry> entries) {
  if (entries.empty() || journal_path().empty()) return {};
  std::string text;
  const std::uint64_t now = detail::wall_clock();
  const std::uint64_t up = detail::uptime();
  for (bind_entry& entry : entries) {
    const std::uint64_t ago = now > entry.time ? (now - entry.time) * 1000 : 0;
    if (entry.boot.empty() && ago < up) {
      entry.host = detail::host_name();
      entry.boot = detail::boot_id();
      entry.uptime = up - ago;
    }
    text += to_json_line(entry);
  }
  return detail::append_own_file(journal_path().data(), text).error;
}

/// The recorded binds in the journal of this run, oldest first: see `read_journal`.
inline std::vector<bind_entry> read_bind_journal() {
  std::vector<bind_entry> entries;
  if (journal_path().empty()) return entries;
  detail::for_each_journal_line([&](std::string_view line) {
    if (auto entry = parse_bind_line(line)) entries.push_back(std::move(*entry));
  });
  return entries;
}

}  // namespace v0
}  // namespace tidewait
