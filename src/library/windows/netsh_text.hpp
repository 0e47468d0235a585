// SPDX-License-Identifier: BSL-1.0
#pragma once

// What netsh prints, read by its structure: its words are those of the system's language.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A line of `netsh int ipv4 show excludedportrange`.
struct excluded_range {
  port_range ports{};
  bool administered = false;  ///< Only kept from being chosen: an explicit bind succeeds there.
};

/// Takes a line from the front, without the spaces at its end.
inline std::string_view take_row(std::string_view& text) noexcept {
  std::string_view line = take_line(text);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

/// Goes past the line of dashes that ends the heading; false if there is none.
inline bool skip_heading(std::string_view& text) noexcept {
  while (!text.empty()) {
    const std::string_view line = take_row(text);
    if (line.substr(0, 3) == "---" && line.find_first_not_of("- ") == std::string_view::npos)
      return true;
  }
  return false;
}

/// All of a word as a number from 1 to 65535.
inline std::optional<std::uint16_t> whole_port(std::string_view word) noexcept {
  const auto number = take_number(word, 65535);
  if (!number || *number == 0 || !word.empty()) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

/// Reads `netsh int ipv4 show excludedportrange protocol=tcp`. Nothing if this is no such table, or
/// a line of it has numbers that are no range.
inline std::optional<std::vector<excluded_range>> parse_excluded_ranges(std::string_view text) {
  std::vector<excluded_range> ranges;
  if (!skip_heading(text)) return std::nullopt;
  while (!text.empty()) {
    std::string_view line = take_row(text);
    const std::string_view words[] = {take_word(line), take_word(line), take_word(line)};
    if (words[0].empty() || words[0].front() < '0' || words[0].front() > '9') continue;
    const auto first = whole_port(words[0]);
    const auto last = whole_port(words[1]);
    const bool administered = words[2] == "*";
    if (!first || !last || *first > *last || !take_word(line).empty() ||
        !(administered || words[2].empty()))
      return std::nullopt;
    ranges.push_back({{*first, *last}, administered});
  }
  return ranges;
}

/// Reads `netsh int ipv4 show dynamicport tcp`: two lines that end with numbers, the first port and
/// how many there are. Nothing if this is no such text.
inline std::optional<port_range> parse_dynamic_range(std::string_view text) {
  std::vector<std::uint16_t> numbers;
  if (!skip_heading(text)) return std::nullopt;
  while (!text.empty()) {
    const std::string_view line = take_row(text);
    const std::size_t before = line.find_last_not_of("0123456789");
    if (before == std::string_view::npos) continue;
    if (const auto number = whole_port(line.substr(before + 1))) numbers.push_back(*number);
  }
  if (numbers.size() != 2 || numbers[1] > 65536 - numbers[0]) return std::nullopt;
  return port_range{numbers[0], static_cast<std::uint16_t>(numbers[0] + (numbers[1] - 1))};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
