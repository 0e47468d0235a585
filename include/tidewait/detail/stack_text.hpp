// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/addr2line.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Between two calls of a stack in the journal.
inline constexpr std::string_view stack_separator = " < ";

/// A stack as the journal has it, innermost first: "/b/net_tests+0x1234 < +0x1300 <
/// /b/libnet.so+0x20". A call without a module is in the module of the one before. The C library
/// and the C++ runtime are left out, and what is further out than 32 calls.
inline std::string to_stack_text(const std::vector<code_place>& stack) {
  constexpr std::size_t most = 32;
  std::string text;
  std::string_view last;
  std::size_t count = 0;
  for (const code_place& each : stack) {
    if (each.module.empty() || is_runtime_module(each.module)) continue;
    if (++count > most) break;
    if (!text.empty()) text += stack_separator;
    if (each.module != last) text += each.module;
    text += '+' + hexadecimal(each.offset);
    last = each.module;
  }
  return text;
}

/// Reads such a stack; nothing if it is none.
inline std::optional<std::vector<code_place>> parse_stack_text(std::string_view text) {
  std::vector<code_place> stack;
  while (!text.empty()) {
    const std::size_t end = text.find(stack_separator);
    std::string_view call = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + stack_separator.size());
    constexpr std::string_view plus = "+0x";
    const std::size_t at = call.rfind(plus);
    if (at == std::string_view::npos || (at == 0 && stack.empty())) return std::nullopt;
    code_place place;
    place.module = at == 0 ? stack.back().module : std::string{call.substr(0, at)};
    call.remove_prefix(at + plus.size());
    const auto [end_of_number, error] =
        std::from_chars(call.data(), call.data() + call.size(), place.offset, 16);
    if (error != std::errc{} || end_of_number != call.data() + call.size()) return std::nullopt;
    stack.push_back(std::move(place));
  }
  return stack;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
