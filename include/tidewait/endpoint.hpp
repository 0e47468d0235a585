// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include <tidewait/protocol.hpp>

namespace tidewait {
inline namespace v0 {

/// An IPv4 or IPv6 address. The default is the IPv4 wildcard 0.0.0.0.
class ip_address {
 public:
  using v4_bytes = std::array<std::uint8_t, 4>;
  using v6_bytes = std::array<std::uint8_t, 16>;

  constexpr ip_address() noexcept = default;
  /// An IPv4 address, bytes in network order.
  constexpr explicit ip_address(v4_bytes bytes) noexcept
      : bytes_{bytes[0], bytes[1], bytes[2], bytes[3]} {}
  /// An IPv6 address, bytes in network order; `scope_id` is the interface index of a link-local
  /// address (RFC 4007), 0 elsewhere.
  constexpr explicit ip_address(v6_bytes bytes, std::uint32_t scope_id = 0) noexcept
      : bytes_{bytes}, scope_id_{scope_id}, is_v6_{true} {}

  /// The wildcards 0.0.0.0 and [::].
  static constexpr ip_address any_v4() noexcept { return ip_address{}; }
  static constexpr ip_address any_v6() noexcept { return ip_address{v6_bytes{}}; }

  constexpr bool is_v6() const noexcept { return is_v6_; }
  constexpr bool is_v4() const noexcept { return !is_v6_; }
  /// 0.0.0.0 or [::]: every address of the machine. (::ffff:0.0.0.0 is the IPv4 wildcard.)
  constexpr bool is_wildcard() const noexcept {
    return is_v4_mapped() ? unmapped().is_wildcard() : all_zero(0, 16);
  }
  /// ::ffff:a.b.c.d, how an IPv6 socket names an IPv4 peer (RFC 4291, 2.5.5.2).
  constexpr bool is_v4_mapped() const noexcept {
    return is_v6_ && all_zero(0, 10) && bytes_[10] == 0xff && bytes_[11] == 0xff;
  }
  /// The IPv4 address inside a mapped one, otherwise the address itself.
  constexpr ip_address unmapped() const noexcept {
    return is_v4_mapped() ? ip_address{v4_bytes{bytes_[12], bytes_[13], bytes_[14], bytes_[15]}}
                          : *this;
  }
  /// 127.0.0.0/8 or ::1.
  constexpr bool is_loopback() const noexcept {
    const ip_address plain = unmapped();
    return plain.is_v4() ? plain.bytes_[0] == 127 : all_zero(0, 15) && bytes_[15] == 1;
  }
  /// Bytes in network order; of an IPv4 address the first four.
  constexpr const v6_bytes& bytes() const noexcept { return bytes_; }
  constexpr std::uint32_t scope_id() const noexcept { return scope_id_; }

  friend constexpr bool operator==(const ip_address& a, const ip_address& b) noexcept {
    for (std::size_t i = 0; i < a.bytes_.size(); ++i) {
      if (a.bytes_[i] != b.bytes_[i]) return false;
    }
    return a.is_v6_ == b.is_v6_ && a.scope_id_ == b.scope_id_;
  }
  friend constexpr bool operator!=(const ip_address& a, const ip_address& b) noexcept {
    return !(a == b);
  }
  /// IPv4 before IPv6, then by value.
  friend bool operator<(const ip_address& a, const ip_address& b) noexcept {
    return std::tie(a.is_v6_, a.bytes_, a.scope_id_) < std::tie(b.is_v6_, b.bytes_, b.scope_id_);
  }

 private:
  constexpr bool all_zero(std::size_t from, std::size_t to) const noexcept {
    for (std::size_t i = from; i < to; ++i) {
      if (bytes_[i] != 0) return false;
    }
    return true;
  }

  v6_bytes bytes_{};
  std::uint32_t scope_id_ = 0;
  bool is_v6_ = false;
};

/// An address and a port, as `bind(2)` takes them. Port 0 is "any".
struct endpoint {
  ip_address address;
  std::uint16_t port = 0;

  friend bool operator==(const endpoint& a, const endpoint& b) noexcept {
    return a.address == b.address && a.port == b.port;
  }
  friend bool operator<(const endpoint& a, const endpoint& b) noexcept {
    return std::tie(a.port, a.address) < std::tie(b.port, b.address);
  }
};

/// Whether an IPv6 socket takes IPv4 traffic too (IPV6_V6ONLY, ipv6(7)). IPv4 sockets:
/// `dual_stack`.
enum class v6_only : std::uint8_t { dual_stack, v6_only };

/// Whether sockets bound to `a` and `b` meet, so that reuse options decide if both may exist:
/// same port, and the same address or a wildcard that covers the other's. [::] covers IPv4 unless
/// IPV6_V6ONLY is set (kernel: `inet_rcv_saddr_equal` in net/ipv4/inet_connection_sock.c).
constexpr bool overlap(const endpoint& a, v6_only a_scope, const endpoint& b,
                       v6_only b_scope) noexcept {
  if (a.port != b.port) return false;
  const ip_address x = a.address.unmapped();
  const ip_address y = b.address.unmapped();
  if (x.is_v6() == y.is_v6()) return x == y || x.is_wildcard() || y.is_wildcard();
  const ip_address& six = x.is_v6() ? x : y;
  const v6_only scope = x.is_v6() ? a_scope : b_scope;
  return six.is_wildcard() && scope == v6_only::dual_stack;
}

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

/// The text of an address: dotted decimal, or RFC 5952 for IPv6 (without brackets).
inline std::string to_string(const ip_address& address) {
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

/// "127.0.0.1:80" or "[::1]:80"; port 0 is written "*", as netstat does.
inline std::string to_string(const endpoint& value) {
  std::string text = to_string(value.address);
  if (value.address.is_v6()) text = '[' + text + ']';
  text += ':';
  if (value.port == 0) return text + '*';
  detail::append_number(text, value.port);
  return text;
}

/// Reads "127.0.0.1", "::1", "fe80::1%2" (scope by interface index); nothing if it is no address.
inline std::optional<ip_address> parse_address(std::string_view text) noexcept {
  return text.find(':') == std::string_view::npos ? detail::parse_v4(text) : detail::parse_v6(text);
}

/// Reads "1.2.3.4:80", "[::1]:80", "*:80" (the IPv4 wildcard), ":80" or "80" (the dual-stack
/// wildcard [::]); nothing if it is no endpoint, or if the port is not in 0–65535.
inline std::optional<endpoint> parse_endpoint(std::string_view text) noexcept {
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
