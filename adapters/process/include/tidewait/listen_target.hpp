// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <tidewait/detail/lease_note.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/port_lease.hpp>

namespace tidewait {
inline namespace v0 {

/// Where a server is expected: a leased port, a port number, or an endpoint.
class listen_target {
 public:
  /// The port on any address, for each protocol that the lease is for.
  listen_target(const port_lease& port)  // NOLINT: a lease says where
      : kind_{port.kind()}, port_{port.number()} {}
  listen_target(const port_lease&&) = delete;
  /// A port on any address.
  listen_target(std::uint16_t port, protocol which = protocol::tcp)  // NOLINT
      : kind_{which == protocol::tcp ? protocol_set::tcp : protocol_set::udp}, port_{port} {}
  /// An address, or a wildcard that covers it: a server on [::1] alone is not ready for 127.0.0.1.
  listen_target(const endpoint& where, protocol which = protocol::tcp)  // NOLINT
      : listen_target{where.port, which} {
    address_ = where.address;
  }

  bool includes(protocol which) const noexcept { return tidewait::includes(kind_, which); }
  std::uint16_t port() const noexcept { return port_; }
  const std::optional<ip_address>& address() const noexcept { return address_; }

 private:
  protocol_set kind_;
  std::uint16_t port_;
  std::optional<ip_address> address_;
};

/// "port 20111", "UDP port 20111", "127.0.0.1:20111".
inline std::string to_string(const listen_target& target) {
  const bool tcp = target.includes(protocol::tcp);
  const bool udp = target.includes(protocol::udp);
  std::string text = udp ? (tcp ? "TCP and UDP " : "UDP ") : "";
  if (target.address()) return text + to_string(endpoint{*target.address(), target.port()});
  return text + "port " + std::to_string(target.port());
}

}  // namespace v0
}  // namespace tidewait
