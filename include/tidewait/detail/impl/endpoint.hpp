// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tuple>

#include <tidewait/detail/number.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE bool operator<(const ip_address& a, const ip_address& b) noexcept {
  return std::tie(a.is_v6_, a.bytes_, a.scope_id_) < std::tie(b.is_v6_, b.bytes_, b.scope_id_);
}

TIDEWAIT_INLINE bool operator<(const endpoint& a, const endpoint& b) noexcept {
  return std::tie(a.port, a.address) < std::tie(b.port, b.address);
}

namespace detail {

inline std::optional<ip_address> parse_v4(std::string_view text) noexcept {
  ip_address::v4_bytes bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    // A leading zero means octal to some: refused, as inet_pton(3) does.
    const bool octal = text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
    const auto part = take_number(text, 255);
    if (!part || octal) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*part);
  }
  if (!text.empty()) return std::nullopt;
  return ip_address{bytes};
}

inline std::optional<ip_address> parse_v6(std::string_view text) noexcept {
  std::uint32_t scope_id = 0;
  if (const auto percent = text.find('%'); percent != std::string_view::npos) {
    std::string_view scope = text.substr(percent + 1);
    const auto index = take_number(scope, 0x7fffffff);
    if (!index || !scope.empty()) return std::nullopt;
    scope_id = *index;
    text = text.substr(0, percent);
  }
  ip_address::v6_bytes bytes{};
  std::size_t filled = 0;
  std::optional<std::size_t> gap;  // where "::" stood
  if (text.substr(0, 2) == "::") {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (const auto dot = text.find('.'); dot != std::string_view::npos && dot < text.find(':')) {
      const auto v4 = parse_v4(text);
      if (!v4 || filled > 12) return std::nullopt;
      for (std::size_t i = 0; i < 4; ++i) bytes[filled++] = v4->bytes()[i];
      text = {};
      break;
    }
    const std::size_t before = text.size();
    const auto group = take_number(text, 0xffff, 16);
    if (!group || before - text.size() > 4 || filled > 14) return std::nullopt;
    bytes[filled++] = static_cast<std::uint8_t>(*group >> 8);
    bytes[filled++] = static_cast<std::uint8_t>(*group & 0xff);
    if (text.empty()) break;
    if (text.front() != ':' || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
    if (text.front() == ':') {
      if (gap) return std::nullopt;
      gap = filled;
      text.remove_prefix(1);
    }
  }
  if (gap ? filled > 14 : filled != 16) return std::nullopt;
  if (gap) {
    const std::size_t zeros = 16 - filled;
    for (std::size_t i = filled; i-- > *gap;) {
      bytes[i + zeros] = bytes[i];
      bytes[i] = 0;
    }
  }
  return ip_address{bytes, scope_id};
}

}  // namespace detail

TIDEWAIT_INLINE std::string to_string(const ip_address& address) {
  std::string text;
  const auto& bytes = address.bytes();
  if (address.is_v4() || address.is_v4_mapped()) {
    if (address.is_v4_mapped()) text = "::ffff:";
    const std::size_t first = address.is_v4() ? 0 : 12;
    for (std::size_t i = first; i < first + 4; ++i) {
      if (i != first) text += '.';
      detail::append_number(text, bytes[i]);
    }
    return text;
  }
  const auto group = [&](int i) {
    const auto at = static_cast<std::size_t>(i) * 2;
    return static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  };
  int gap = -1;        // the longest run of zero groups, the first if several,
  int gap_length = 1;  // is written "::", unless it is a single group
  for (int i = 0; i < 8; ++i) {
    int length = 0;
    while (i + length < 8 && group(i + length) == 0) ++length;
    if (length > gap_length) {
      gap = i;
      gap_length = length;
    }
    if (length != 0) i += length - 1;
  }
  for (int i = 0; i < 8; ++i) {
    if (i == gap) {
      text += "::";
      i += gap_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    detail::append_number(text, group(i), 16);
  }
  if (address.scope_id() != 0) {
    text += '%';
    detail::append_number(text, address.scope_id());
  }
  return text;
}

TIDEWAIT_INLINE std::string to_string(const endpoint& value) {
  std::string text = to_string(value.address);
  if (value.address.is_v6()) text = '[' + text + ']';
  text += ':';
  if (value.port == 0) return text + '*';
  detail::append_number(text, value.port);
  return text;
}

TIDEWAIT_INLINE std::optional<ip_address> parse_address(std::string_view text) noexcept {
  return text.find(':') == std::string_view::npos ? detail::parse_v4(text) : detail::parse_v6(text);
}

TIDEWAIT_INLINE std::optional<endpoint> parse_endpoint(std::string_view text) noexcept {
  const auto colon = text.rfind(':');
  std::string_view host =
      colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
  if (colon != std::string_view::npos) text.remove_prefix(colon + 1);
  const auto port = detail::take_number(text, 65535);
  std::optional<ip_address> address;
  if (host.empty()) {
    address = ip_address::any_v6();
  } else if (host == "*") {
    address = ip_address::any_v4();
  } else if (host.front() == '[' && host.back() == ']') {
    address = detail::parse_v6(host.substr(1, host.size() - 2));
  } else {
    address = detail::parse_v4(host);
  }
  if (!port || !text.empty() || !address) return std::nullopt;
  return endpoint{*address, static_cast<std::uint16_t>(*port)};
}

}  // namespace v0
}  // namespace tidewait
