// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/os.hpp>
#include <tidewait/detail/os_handles.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// The environment variable that names the journal: a regular file to which the processes of one
/// run, or of several, append which test had which socket, so that a conflict names the other test.
/// Unset, or in a setuid program: no journal.
///
/// Only a file that belongs to this user, to which nobody else may write, and which is no link is
/// read or written: what others can write could name an innocent test. One that is not there is
/// made so.
inline constexpr const char* journal_variable = "TIDEWAIT_JOURNAL";
/// What a line of the journal says of a socket.
enum class journal_event : std::uint8_t {
  listening,    ///< A listener (of UDP: a server's socket), seen while the test ran.
  left_behind,  ///< Found after the test.
};

/// One line of the journal.
struct journal_entry {
  journal_event event = journal_event::left_behind;  ///< What the line is about.
  std::string test{};                                ///< As its watch calls it, or its launcher.
  std::string ctest_name{};                          ///< As TIDEWAIT_TEST calls it; may be empty.
  socket_entry socket{};                             ///< Protocol, state, local endpoint, cookie.
  std::uint64_t net_cookie = 0;                      ///< Its network namespace (SO_NETNS_COOKIE).
  int pid = 0;                                       ///< The process that looked.
  std::string run{};         ///< Its own mark, which what it starts has in TIDEWAIT_RUN.
  std::string command{};     ///< Of the first owner; may be empty.
  std::string leased_at{};   ///< "file:line"; empty if the port was not leased.
  std::uint64_t time = 0;    ///< Milliseconds since 1970.
  bool reported = false;     ///< Of what was left: the test has failed for it and said so.
  std::string host{};        ///< Node name of the machine (uname(2)); empty: not known.
  std::string boot{};        ///< Boot id of the machine (random(4)); empty: not known.
  std::uint64_t uptime = 0;  ///< Microseconds since boot, no jumps (CLOCK_BOOTTIME); 0: not known.
};

namespace detail {

/// Adds the machine that a line comes from, as far as it is known.
inline void add_origin(json_line& line, std::string_view host, std::string_view boot,
                       std::uint64_t uptime) {
  if (!host.empty()) line.add("host", host);
  if (!boot.empty()) line.add("boot", boot);
  if (uptime != 0) line.add("uptime", uptime);
}

/// Every line of the journal starts with it. No other place of a line can: a quote in a string has
/// a backslash before it.
inline constexpr std::string_view journal_line_start = R"({"journal":1,)";

inline std::optional<protocol> parse_protocol(std::string_view text) noexcept {
  if (text == to_string(protocol::tcp)) return protocol::tcp;
  if (text == to_string(protocol::udp)) return protocol::udp;
  return std::nullopt;
}

inline std::optional<journal_event> parse_journal_event(std::string_view text) noexcept {
  if (text == "left_behind") return journal_event::left_behind;
  if (text == "listening") return journal_event::listening;
  return std::nullopt;
}

}  // namespace detail

/// One entry as a line of JSON, with its end: a flat object of strings and whole numbers, its first
/// field the version of the format.
inline std::string to_json_line(const journal_entry& entry) {
  detail::json_line line;
  line.add("journal", 1);
  line.add("event", entry.event == journal_event::left_behind ? "left_behind" : "listening");
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

/// Reads one line; nothing if it is torn, of another version of the format, or of an event that is
/// not known here. Fields that are not known are passed over; of the others only texts may be
/// missing.
inline std::optional<journal_entry> parse_journal_line(std::string_view text) {
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

/// The path of this run's journal; empty if there is none.
inline std::string_view journal_path() noexcept {
  const char* const path = detail::environment(journal_variable);
  return path == nullptr ? "" : path;
}

namespace detail {

inline opened_file write_journal_lines(const std::vector<journal_entry>& entries) {
  std::string text;
  for (const journal_entry& entry : entries) text += to_json_line(entry);
  return append_own_file(journal_path().data(), text);
}

/// How much of the journal is read at most, in bytes; of a longer one the newest lines.
inline constexpr std::size_t most_of_a_journal = std::size_t{8} << 20U;

/// Calls `each` with every line of this run's journal, the oldest first. A line that a full disk
/// has torn does not take the one behind it along.
template <typename Each>
opened_file for_each_journal_line(Each&& each) {
  std::string text;
  opened_file file = read_own_file(journal_path().data(), text, most_of_a_journal);
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    const auto start = line.rfind(journal_line_start);
    if (start != std::string_view::npos) each(line.substr(start));
  }
  return file;
}

}  // namespace detail

/// Appends to the journal of this run, if there is one; a line is written at once, so that lines of
/// several processes do not mix. The error is the system's, or `errc::untrusted_file`.
inline std::error_code append_journal(const std::vector<journal_entry>& entries) {
  if (entries.empty() || journal_path().empty()) return {};
  return detail::write_journal_lines(entries).error;
}

/// The journal of this run, oldest entry first; empty if there is none, or if it cannot be read or
/// is not to be trusted. Of one that is longer than 8 MiB the newest entries.
inline std::vector<journal_entry> read_journal() {
  std::vector<journal_entry> entries;
  if (journal_path().empty()) return entries;
  detail::for_each_journal_line([&](std::string_view line) {
    if (auto entry = parse_journal_line(line)) entries.push_back(std::move(*entry));
  });
  return entries;
}

}  // namespace v0
}  // namespace tidewait
