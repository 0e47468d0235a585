// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The text before the first of these characters outside quotes; the whole text if there is none.
inline std::string_view before_any(std::string_view ends, std::string_view text) noexcept {
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') quoted = !quoted;
    if (text[at] == '\\' && quoted) ++at;
    if (!quoted && ends.find(text[at]) != std::string_view::npos) return text.substr(0, at);
  }
  return text;
}

constexpr std::string_view policy_separators = ",; \t\n";

/// The largest file of rules, and its longest line, in bytes.
inline constexpr std::size_t most_of_a_policy = std::size_t{1} << 20U;
inline constexpr std::size_t longest_policy_line = 4096;

/// The bytes with which some editors begin a file; empty if it does not begin so.
inline std::string_view byte_order_mark_of(std::string_view text) noexcept {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  return text.substr(0, mark.size()) == mark ? text.substr(0, mark.size()) : std::string_view{};
}

/// A line of a file of rules, split: the item, and behind '#' its reason.
struct policy_line {
  std::string_view item;
  std::string_view reason;
};

inline std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(blanks)));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// Splits a line at the first '#' that begins a word and is not in quotes.
inline policy_line split_policy_line(std::string_view line) noexcept {
  std::size_t at = 0;
  while (at < line.size()) {
    const std::string_view word = before_any("#", line.substr(at));
    at += word.size();
    if (at == line.size()) break;
    const bool begins = at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t';
    if (begins) return {trimmed(line.substr(0, at)), trimmed(line.substr(at + 1))};
    ++at;
  }
  return {trimmed(line), {}};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
