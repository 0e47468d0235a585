// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {

std::string_view journal_path() noexcept;

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

/// What `parse` makes of the lines of this run's journal, the oldest first.
template <typename Entry>
std::vector<Entry> read_journal_entries(std::optional<Entry> (*parse)(std::string_view)) {
  std::vector<Entry> entries;
  if (journal_path().empty()) return entries;
  for_each_journal_line([&](std::string_view line) {
    if (auto entry = parse(line)) entries.push_back(std::move(*entry));
  });
  return entries;
}

/// Adds a line for each of the entries.
template <typename Entries>
opened_file write_journal_lines(const Entries& entries) {
  std::string text;
  for (const auto& entry : entries) text += to_json_line(entry);
  return append_own_file(journal_path().data(), text);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
