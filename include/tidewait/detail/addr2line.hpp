// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "0x1a2b"
inline std::string hexadecimal(std::uint64_t value) {
  std::string text;
  do {
    text.insert(text.begin(), "0123456789abcdef"[value % 16]);
  } while ((value /= 16) != 0);
  return "0x" + text;
}

/// Modules in which nobody looks for the line of a bind: the C library, the C++ runtime,
/// sanitizers.
inline bool is_runtime_module(std::string_view path) noexcept {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  constexpr std::array<std::string_view, 13> runtimes{
      "libc.so",      "libc-2",        "libpthread",  "ld-linux", "ld-musl",
      "libstdc++.so", "libc++.so",     "libgcc_s.so", "libasan",  "libtsan",
      "libubsan",     "linux-vdso.so", "libclang_rt"};
  return std::any_of(runtimes.begin(), runtimes.end(),
                     [&](std::string_view each) { return name.substr(0, each.size()) == each; });
}

/// Without "(anonymous namespace)::", which says nothing to a reader.
inline std::string without_anonymous(std::string name) {
  constexpr std::string_view anonymous = "(anonymous namespace)::";
  for (std::size_t at = 0; (at = name.find(anonymous, at)) != std::string::npos;)
    name.erase(at, anonymous.size());
  return name;
}

/// "function at file:line (discriminator 2)", with ?? for what is not known.
inline code_place parse_place(std::string_view text) {
  code_place place;
  const std::size_t at = text.rfind(" at ");
  if (at == std::string_view::npos) return place;
  std::string_view function = text.substr(0, at);
  std::string_view file = text.substr(at + 4);
  if (function != "??") place.function = sanitised(without_anonymous(std::string{function}), 1000);
  file = file.substr(0, file.find(" (discriminator"));
  const std::size_t colon = file.rfind(':');
  if (colon == std::string_view::npos) return place;
  std::string_view digits = file.substr(colon + 1);
  file = file.substr(0, colon);
  // LLVM's adds a column.
  const std::size_t before = file.rfind(':');
  if (before != std::string_view::npos && before + 1 < file.size() &&
      file.find_first_not_of("0123456789", before + 1) == std::string_view::npos) {
    digits = file.substr(before + 1);
    file = file.substr(0, before);
  }
  const auto line = take_number(digits, 100000000, 10);
  if (line) place.line = static_cast<unsigned>(*line);
  if (file.substr(0, 2) != "??") place.file = sanitised(file, 1000);
  if (place.file.empty()) place.line = 0;
  return place;
}

/// Reads what `addr2line -aCfip` prints: for each address its places, innermost first. More than
/// one where calls were inlined.
inline std::map<std::uint64_t, std::vector<code_place>> parse_addr2line(std::string_view text) {
  std::map<std::uint64_t, std::vector<code_place>> places;
  std::vector<code_place>* current = nullptr;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    constexpr std::string_view inlined = " (inlined by) ";
    if (line.substr(0, inlined.size()) == inlined) {
      if (current != nullptr) current->push_back(parse_place(line.substr(inlined.size())));
      continue;
    }
    if (line.substr(0, 2) != "0x") continue;
    std::uint64_t address = 0;
    const char* const end = line.data() + line.size();
    const auto read = std::from_chars(line.data() + 2, end, address, 16);
    line.remove_prefix(static_cast<std::size_t>(read.ptr - line.data()));
    if (read.ec != std::errc{} || line.substr(0, 2) != ": ") continue;
    current = &places[address];
    *current = {parse_place(line.substr(2))};
  }
  return places;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
