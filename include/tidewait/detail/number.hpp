// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline void append_number(std::string& to, std::uint32_t value, unsigned base = 10) {
  char digits[10];
  unsigned count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  while (count != 0) to += digits[--count];
}

/// Reads digits of `base` at the front of `text` and drops them; nothing if there are none, or if
/// the number is above `most`.
inline std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t most,
                                                unsigned base = 10) noexcept {
  std::uint64_t value = 0;
  std::size_t used = 0;
  for (; used < text.size(); ++used) {
    const char c = text[used];
    unsigned digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) break;
    value = value * base + digit;
    if (value > most) return std::nullopt;
  }
  if (used == 0) return std::nullopt;
  text.remove_prefix(used);
  return static_cast<std::uint32_t>(value);
}

/// "250ms", "2s", or a number of milliseconds; an hour at most.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept {
  const auto number = take_number(text, 3600000);
  if (!number) return std::nullopt;
  if (text == "s" && *number <= 3600) return std::chrono::seconds{*number};
  if (text.empty() || text == "ms") return std::chrono::milliseconds{*number};
  return std::nullopt;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
