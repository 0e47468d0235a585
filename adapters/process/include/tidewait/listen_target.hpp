// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <tidewait/detail/lease_note.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/socket_path_lease.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Where a server is expected: a leased port, a port number, an endpoint, or the name of a Unix
/// socket.
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

  /// A leased path of a Unix socket.
  listen_target(const socket_path_lease& path) : listen_target{path.path()} {}  // NOLINT
  listen_target(const socket_path_lease&&) = delete;
  /// The path of a Unix socket, or "@name" for an abstract name; "./@name" is a path. A datagram
  /// socket is ready once it is bound.
  listen_target(std::string name) : name_{parse_unix_name(name)} {}  // NOLINT
  /// The same, from a literal.
  listen_target(const char* name) : listen_target{std::string{name}} {}  // NOLINT

  /// False for a Unix socket.
  bool includes(protocol which) const noexcept {
    return name_.empty() && tidewait::includes(kind_, which);
  }
  /// The bytes of `sun_path`; empty if it is no Unix socket.
  const std::string& unix_name() const noexcept { return name_; }
  /// The port; 0 for a Unix socket.
  std::uint16_t port() const noexcept { return port_; }
  /// The address; empty: any.
  const std::optional<ip_address>& address() const noexcept { return address_; }

 private:
  protocol_set kind_ = protocol_set::tcp;
  std::uint16_t port_ = 0;
  std::string name_{};
  std::optional<ip_address> address_{};
};

/// "port 20111", "UDP port 20111", "127.0.0.1:20111", "/run/x.sock".
inline std::string to_string(const listen_target& target) {
  if (!target.unix_name().empty()) return unix_name_text(target.unix_name());
  const bool tcp = target.includes(protocol::tcp);
  const bool udp = target.includes(protocol::udp);
  std::string text = udp ? (tcp ? "TCP and UDP " : "UDP ") : "";
  if (target.address()) return text + to_string(endpoint{*target.address(), target.port()});
  return text + "port " + std::to_string(target.port());
}

}  // namespace v0
}  // namespace tidewait
