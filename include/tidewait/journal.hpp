// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/linux/journal_file.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/lease_note.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// The environment variable that names the journal: a regular file to which the processes of one
/// run, or of several, append which test had which socket, so that a conflict names the other test.
/// Unset: no journal.
inline constexpr const char* journal_variable = "TIDEWAIT_JOURNAL";
/// What a line of the journal says of a socket.
enum class journal_event : std::uint8_t {
  listening,  ///< A listener (of UDP: a server's socket), seen while the test ran.
  left,       ///< Found after the test.
};

/// One line of the journal.
struct journal_entry {
  journal_event event = journal_event::left;
  std::string test;              ///< As its watch calls it, or its launcher.
  std::string ctest_name;        ///< As TIDEWAIT_TEST calls it; may be empty.
  socket_entry socket;           ///< Protocol, state, local endpoint, cookie.
  std::uint64_t net_cookie = 0;  ///< Its network namespace (SO_NETNS_COOKIE).
  int pid = 0;                   ///< The process that looked.
  std::string run;               ///< Its own mark, which what it starts has in TIDEWAIT_RUN.
  std::string command;           ///< Of the first owner; may be empty.
  std::string leased_at;         ///< "file:line"; empty if the port was not leased.
  std::uint64_t time = 0;        ///< Milliseconds since 1970.
};

/// One entry as a line of JSON, with its end.
inline std::string to_json_line(const journal_entry& entry) {
  detail::json_line line;
  line.add("event", entry.event == journal_event::left ? "left" : "listening");
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
  return line.text();
}

/// Reads one line; nothing if it is none of ours (torn by a full disk, or of a later version).
inline std::optional<journal_entry> parse_journal_line(std::string_view text) {
  const detail::json_fields fields = detail::parse_json_line(text);
  const auto event = fields.find("event");
  const auto protocol_name = fields.find("protocol");
  const auto local = parse_endpoint(fields.find("local").value_or(""));
  const auto state = parse_socket_state(fields.find("state").value_or(""));
  if (!event || !protocol_name || !local || !state) return std::nullopt;
  journal_entry entry;
  entry.event = *event == "left" ? journal_event::left : journal_event::listening;
  entry.test = detail::sanitised(fields.find("test").value_or(""));
  entry.ctest_name = detail::sanitised(fields.find("ctest").value_or(""));
  entry.socket.protocol = *protocol_name == "udp" ? protocol::udp : protocol::tcp;
  entry.socket.state = *state;
  entry.socket.local = *local;
  entry.socket.cookie = fields.number("cookie");
  entry.net_cookie = fields.number("namespace");
  entry.pid = static_cast<int>(fields.number("pid"));
  entry.run = detail::sanitised(fields.find("run").value_or(""));
  entry.command = detail::sanitised(fields.find("command").value_or(""));
  entry.leased_at = detail::sanitised(fields.find("leased_at").value_or(""));
  entry.time = fields.number("time");
  return entry;
}

/// The path of this run's journal; empty if there is none.
inline std::string_view journal_path() noexcept {
  const char* const path = std::getenv(journal_variable);
  return path == nullptr ? "" : path;
}

/// Appends to the journal of this run, if there is one; a line is written at once, so that lines of
/// several processes do not mix. The error is the system's.
inline std::error_code append_journal(const std::vector<journal_entry>& entries) {
  if (entries.empty() || journal_path().empty()) return {};
  std::string text;
  for (const journal_entry& entry : entries) text += to_json_line(entry);
  return detail::append_file(journal_path().data(), text);
}

namespace detail {

/// Calls `each` with every line of this run's journal, the oldest first; with none if there is no
/// journal, or it cannot be read or is no file that ends.
template <typename Each>
void for_each_journal_line(Each&& each) {
  std::string text;
  if (journal_path().empty() || !is_regular_file(journal_path().data()) ||
      read_file(AT_FDCWD, journal_path().data(), text)) {
    return;
  }
  for (std::string_view rest = text; !rest.empty();) each(take_line(rest));
}

}  // namespace detail

/// The journal of this run, oldest entry first; empty if there is none or it cannot be read.
inline std::vector<journal_entry> read_journal() {
  std::vector<journal_entry> entries;
  detail::for_each_journal_line([&](std::string_view line) {
    if (auto entry = parse_journal_line(line)) entries.push_back(std::move(*entry));
  });
  return entries;
}

}  // namespace v0
}  // namespace tidewait
