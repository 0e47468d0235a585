// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tidewait/detail/compiled.hpp>

namespace tidewait {
inline namespace v0 {

/// The protocol_set protocol of a port. TCP and UDP ports of one number are unrelated.
enum class protocol : std::uint8_t { tcp, udp };

/// "tcp" or "udp".
inline std::string_view to_string(protocol value) noexcept {
  return value == protocol::tcp ? "tcp" : "udp";
}

/// For which protocols a port number is leased.
enum class protocol_set : std::uint8_t { tcp, udp, tcp_and_udp };

/// Whether the set has that protocol.
constexpr bool includes(protocol_set set, protocol which) noexcept {
  return set == protocol_set::tcp_and_udp || (set == protocol_set::tcp) == (which == protocol::tcp);
}

/// An IPv4 or IPv6 address. The default is the IPv4 wildcard 0.0.0.0.
class ip_address {
 public:
  using v4_bytes = std::array<std::uint8_t, 4>;   ///< In network byte order.
  using v6_bytes = std::array<std::uint8_t, 16>;  ///< In network byte order.

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
  /// `::`, every IPv6 address, and every IPv4 address unless IPV6_V6ONLY is set.
  static constexpr ip_address any_v6() noexcept { return ip_address{v6_bytes{}}; }

  /// Whether it is an IPv6 address.
  constexpr bool is_v6() const noexcept { return is_v6_; }
  /// Whether it is an IPv4 address.
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
  /// Index of the interface of a link-local IPv6 address; 0: none (RFC 4007).
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
  friend bool operator<(const ip_address& a, const ip_address& b) noexcept;

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
  ip_address address{};    ///< The address.
  std::uint16_t port = 0;  ///< The port, in host byte order; 0: the kernel chooses.

  friend bool operator==(const endpoint& a, const endpoint& b) noexcept {
    return a.address == b.address && a.port == b.port;
  }
  /// By port, then by address.
  friend bool operator<(const endpoint& a, const endpoint& b) noexcept;
};

/// Whether an IPv6 socket takes IPv4 traffic too (IPV6_V6ONLY, ipv6(7)). IPv4 sockets:
/// `dual_stack`.
enum class ipv6_only : std::uint8_t { no, yes };

/// Whether sockets bound to `a` and `b` meet, so that reuse options decide if both may exist:
/// same port, and the same address or a wildcard that covers the other's. [::] covers IPv4 unless
/// IPV6_V6ONLY is set (kernel: `inet_rcv_saddr_equal` in net/ipv4/inet_connection_sock.c).
constexpr bool overlap(const endpoint& a, ipv6_only a_scope, const endpoint& b,
                       ipv6_only b_scope) noexcept {
  if (a.port != b.port) return false;
  const ip_address x = a.address.unmapped();
  const ip_address y = b.address.unmapped();
  if (x.is_v6() == y.is_v6()) return x == y || x.is_wildcard() || y.is_wildcard();
  const ip_address& six = x.is_v6() ? x : y;
  const ipv6_only scope = x.is_v6() ? a_scope : b_scope;
  return six.is_wildcard() && scope == ipv6_only::no;
}

/// The text of an address: dotted decimal, or RFC 5952 for IPv6 (without brackets).
std::string to_string(const ip_address& address);
/// "127.0.0.1:80" or "[::1]:80"; port 0 is written "*", as netstat does.
std::string to_string(const endpoint& value);
/// Reads "127.0.0.1", "::1", "fe80::1%2" (scope by interface index); nothing if it is no address.
std::optional<ip_address> parse_address(std::string_view text) noexcept;
/// Reads "1.2.3.4:80", "[::1]:80", "*:80" (the IPv4 wildcard), ":80" or "80" (the dual-stack
/// wildcard [::]); nothing if it is no endpoint, or if the port is not in 0–65535.
std::optional<endpoint> parse_endpoint(std::string_view text) noexcept;

/// Ports from first to last, both included.
struct port_range {
  std::uint16_t first = 0;  ///< Lowest port.
  std::uint16_t last = 0;   ///< Highest port, which belongs to the range.

  /// Whether `port` lies in it.
  constexpr bool contains(std::uint16_t port) const noexcept {
    return port >= first && port <= last;
  }
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/endpoint.hpp>
#endif
