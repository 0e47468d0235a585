// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/raw_lease.hpp>
#include <tidewait/error.hpp>
#include <tidewait/source_location.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {
struct lease_maker;
}

/// A port number that is this process's alone among all users of tidewait in the same network
/// namespace, until the lease ends. The port itself is free: the server under test binds it.
///
/// The lease is a lock that the kernel drops with its last holder, so nothing stale stays behind a
/// killed process; a child that inherits `lock_descriptors()` prolongs it. When a lease ends and
/// its port is not free, the lock stays with the process and the next look of a `watch` judges the
/// port.
///
/// Limit: a process that does not use tidewait can still bind exactly this number. Where the code
/// under test can take a bound socket, hand it one instead of a number.
class [[nodiscard]] port_lease {
 public:
  /// The source has no lease afterwards.
  port_lease(port_lease&& other) noexcept : lease_{std::exchange(other.lease_, {})} {}
  /// Ends the lease that is there first.
  port_lease& operator=(port_lease&& other) noexcept {
    if (this != &other) {
      end();
      lease_ = std::exchange(other.lease_, {});
    }
    return *this;
  }
  ~port_lease() { end(); }

  /// The port, 1–65535. Of a temporary lease it cannot be asked: the lease would be over before the
  /// number is used.
  std::uint16_t number() const& noexcept { return lease_.note.port; }
  std::uint16_t number() const&& = delete;

  /// For which protocols the number is leased.
  protocol_set kind() const noexcept { return lease_.note.kind; }
  /// The line that leased it.
  const source_location& where() const noexcept { return lease_.note.where; }

  /// Takes the port itself, too: a bound TCP socket on [::] that does not listen, with SO_REUSEADDR
  /// and SO_REUSEPORT. A server that sets either option can bind and listen over it, nobody else
  /// can take the port, clients get ECONNREFUSED. A server that sets neither fails, hence not the
  /// default. Throws `lease_error` if the port is taken, or leased for UDP (a held UDP socket would
  /// swallow datagrams).
  void hold();
  /// Gives the port itself back; the lease goes on.
  void release_hold() noexcept;
  /// Whether the port itself is held. Not any more if the program has closed the descriptor, for
  /// example by close_range(2).
  bool held() const noexcept { return lease_.hold && !lease_.hold.lost(); }

  /// The descriptors (on Windows: handles) of the lock, and of the hold if there is one: a child
  /// process that inherits them prolongs the lease. They are close-on-exec (not inherited).
  std::vector<detail::native_handle> lock_descriptors() const;

 private:
  friend struct detail::lease_maker;
  explicit port_lease(detail::raw_lease lease);

  void end() noexcept;
  void note_hold();

  detail::raw_lease lease_;
};

/// Leases `count` free ports. They lie outside the ephemeral range of the network namespace, where
/// no outgoing connection and no bind(0) can take them (ip_local_port_range, ip(7)), and are
/// neither reserved nor privileged. If the range leaves no other port, they are taken inside it and
/// held. Throws `lease_error`: `errc::no_free_port` says how many were tried and why each kind
/// failed, `errc::port_out_of_range` that so many ports cannot be served; otherwise the system's
/// error.
[[nodiscard]] std::vector<port_lease> lease_ports(
    std::size_t count, protocol_set kind = protocol_set::tcp,
    source_location where = source_location::current());

/// Leases `count` ports with consecutive numbers, lowest first; otherwise as `lease_ports`.
[[nodiscard]] std::vector<port_lease> lease_block(
    std::size_t count, protocol_set kind = protocol_set::tcp,
    source_location where = source_location::current());

/// Leases one free port; otherwise as `lease_ports`.
[[nodiscard]] port_lease lease_port(protocol_set kind = protocol_set::tcp,
                                    source_location where = source_location::current());

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/port_lease.hpp>
#endif
