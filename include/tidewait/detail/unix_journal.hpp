// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/test_journal.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/detail/unix_bind_facts.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the journal says of a Unix socket, or a stale socket file, that a look has found after a
/// test, and has judged.
struct left_unix {
  std::string test{};            ///< As its watch calls it, or its launcher.
  std::string ctest_name{};      ///< As TIDEWAIT_TEST calls it; may be empty.
  std::string name{};            ///< As people write it: a path, or '@' and an abstract name.
  std::string file{};            ///< Its `file_identity`; empty: it has no file.
  std::uint64_t cookie = 0;      ///< Of the socket; 0: a stale file, or not known.
  std::uint64_t net_cookie = 0;  ///< Its network namespace (SO_NETNS_COOKIE).
  std::string run{};             ///< The mark of the process that looked.
  std::uint64_t time = 0;        ///< Milliseconds since 1970.
  bool reported = false;         ///< The test has failed for it and said so.
};

/// The line of what a look of this process has found, under its full name.
inline std::string left_unix_line(std::string_view test, const observed_unix& socket,
                                  std::string_view name, const unix_bind_facts& facts,
                                  bool reported) {
  json_line line = begin_journal_line("left_behind", test);
  line.add("protocol", "unix");
  if (!socket.stale_file) line.add("state", to_string(socket.state));
  line.add("path", unix_name_text(name));
  if (const std::string file = file_identity(facts); !file.empty()) line.add("file", file);
  line.add("cookie", std::to_string(socket.cookie));
  line.add("namespace", std::to_string(current_net_cookie()));
  if (!socket.owners.empty()) line.add("command", socket.owners.front().command);
  if (reported) line.add("reported", 1);
  return end_journal_line(std::move(line));
}

/// Reads such a line; nothing if it is another one.
inline std::optional<left_unix> parse_left_unix(std::string_view text) {
  if (text.substr(0, journal_line_start.size()) != journal_line_start) return std::nullopt;
  const json_fields fields = parse_json_line(text);
  const auto cookie = fields.number("cookie");
  const auto net_cookie = fields.number("namespace");
  const auto time = fields.number("time");
  if (fields.find("event") != "left_behind" || fields.find("protocol") != "unix" || !cookie ||
      !net_cookie || !time) {
    return std::nullopt;
  }
  const auto words = [&](std::string_view key) { return sanitised(fields.find(key).value_or("")); };
  left_unix left;
  left.test = words("test");
  left.ctest_name = words("ctest");
  left.name = words("path");
  left.file = words("file");
  left.cookie = *cookie;
  left.net_cookie = *net_cookie;
  left.run = words("run");
  left.time = *time;
  left.reported = fields.number("reported") == 1;
  return left.name.empty() ? std::nullopt : std::optional{std::move(left)};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
