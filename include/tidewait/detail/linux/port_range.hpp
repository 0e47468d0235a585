// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/number.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "32768\t60999" of net.ipv4.ip_local_port_range.
inline std::optional<port_range> parse_port_range(std::string_view text) noexcept {
  text = take_line(text);
  std::string_view first_word = take_word(text);
  std::string_view last_word = take_word(text);
  const auto first = take_number(first_word, 65535);
  const auto last = take_number(last_word, 65535);
  if (!first || !last || !first_word.empty() || !last_word.empty() || *first > *last) {
    return std::nullopt;
  }
  return port_range{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

/// "8080,9000-9010" of net.ipv4.ip_local_reserved_ports; what cannot be read is passed over.
inline std::vector<port_range> parse_reserved_ports(std::string_view text) {
  std::vector<port_range> ranges;
  text = take_line(text);
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const auto first = take_number(item, 65535);
    auto last = first;
    if (first && !item.empty() && item.front() == '-') {
      item.remove_prefix(1);
      last = take_number(item, 65535);
    }
    if (first && last && *first <= *last && item.empty()) {
      ranges.push_back({static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)});
    }
  }
  return ranges;
}

/// The rules as this network namespace has them now; the kernel's defaults where /proc/sys cannot
/// be read. The files belong to the calling thread's namespace and hold for IPv6 too.
inline port_rules read_port_rules() {
  port_rules rules;
  std::string text;
  const auto read = [&](const char* name) {
    const std::string path = proc_path("sys/net/ipv4/") + name;
    return !read_file(AT_FDCWD, path.c_str(), text);
  };
  if (read("ip_local_port_range")) {
    if (const auto range = parse_port_range(text)) rules.ephemeral = *range;
  }
  if (read("ip_local_reserved_ports")) rules.reserved = parse_reserved_ports(text);
  if (read("ip_unprivileged_port_start")) {
    std::string_view digits = text;
    if (const auto start = take_number(digits, 65535)) {
      rules.unprivileged_start = static_cast<std::uint16_t>(*start);
    }
  }
  if (read("ip_autobind_reuse")) rules.autobind_reuse = !text.empty() && text.front() == '1';
  return rules;
}
/// Nothing of them is dear to read.
inline port_rules look_up_port_rules(protocol, const ip_address&) { return read_port_rules(); }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
