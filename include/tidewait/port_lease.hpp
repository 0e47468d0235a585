// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tidewait/error.hpp>
#include <tidewait/lease_search.hpp>
#include <tidewait/registry.hpp>

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
  port_lease(port_lease&& other) noexcept : lease_{std::exchange(other.lease_, {})} {}
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
  transport kind() const noexcept { return lease_.note.kind; }
  /// The line that leased it.
  const source_location& where() const noexcept { return lease_.note.where; }

  /// Takes the port itself, too: a bound TCP socket on [::] that does not listen, with SO_REUSEADDR
  /// and SO_REUSEPORT. A server that sets either option can bind and listen over it, nobody else
  /// can take the port, clients get ECONNREFUSED. A server that sets neither fails, hence not the
  /// default. Throws `lease_error` if the port is taken, or leased for UDP (a held UDP socket would
  /// swallow datagrams).
  void hold() {
    if (lease_.hold) return;
    const std::string doing = "holding port " + std::to_string(lease_.note.port);
    if (lease_.note.kind != transport::tcp) {
      throw lease_error{
          std::make_error_code(std::errc::operation_not_supported), doing,
          "only a lease for TCP alone can be held: a held UDP socket would swallow datagrams"};
    }
    if (lease_.note.net_namespace != detail::current_net_namespace()) {
      throw lease_error{errc::other_namespace, doing, "return to the first namespace (setns)"};
    }
    if (const auto error = detail::hold_port(lease_.note.port, lease_.hold)) {
      throw lease_error{error, doing,
                        "a server or its TIME_WAIT is on it, or another process has taken it"};
    }
    detail::registry::instance().settle_cookies({detail::socket_cookie(lease_.hold)});
  }
  /// Gives the port itself back; the lease goes on.
  void release_hold() noexcept { lease_.hold.reset(); }
  /// Whether the port itself is held.
  bool held() const noexcept { return static_cast<bool>(lease_.hold); }

  /// The descriptors of the lock, and of the hold if there is one: a child process that inherits
  /// them prolongs the lease. They are close-on-exec.
  std::vector<int> lock_descriptors() const {
    std::vector<int> descriptors;
    for (const detail::unique_fd* each : {&lease_.locks[0], &lease_.locks[1], &lease_.hold}) {
      if (*each) descriptors.push_back(each->get());
    }
    return descriptors;
  }

 private:
  friend struct detail::lease_maker;
  explicit port_lease(detail::raw_lease lease) : lease_{std::move(lease)} {
    detail::registry::instance().begin(lease_.note);
    if (lease_.hold) {
      detail::registry::instance().settle_cookies({detail::socket_cookie(lease_.hold)});
    }
  }

  void end() noexcept {
    detail::raw_lease lease = std::exchange(lease_, {});
    // A forked child only closes its copies: the lease is its parent's.
    if (lease.pid == 0 || lease.pid != ::getpid()) return;
    lease.hold.reset();
    try {
      detail::registry::instance().end(lease.note, std::move(lease.locks));
    } catch (...) {
      // Out of memory: the locks are gone, the live note stays and is judged at the next look.
    }
  }

  detail::raw_lease lease_;
};

namespace detail {

struct lease_maker {
  static std::vector<port_lease> make(std::vector<raw_lease> found) {
    std::vector<port_lease> leases;
    leases.reserve(found.size());
    for (raw_lease& each : found) leases.push_back(port_lease{std::move(each)});
    return leases;
  }
};

}  // namespace detail

/// Leases `count` free ports. They lie outside the ephemeral range of the network namespace, where
/// no outgoing connection and no bind(0) can take them (ip_local_port_range, ip(7)), and are
/// neither reserved nor privileged. If the range leaves no other port, they are taken inside it and
/// held. Throws `lease_error`: `errc::no_free_port` says how many were tried and why each kind
/// failed, `errc::port_out_of_range` that so many ports cannot be served; otherwise the system's
/// error.
inline std::vector<port_lease> lease_ports(std::size_t count, transport kind = transport::tcp,
                                           source_location where = source_location::current()) {
  return detail::lease_maker::make(
      detail::search_leases(count, detail::lease_shape::scattered, kind, where));
}

/// Leases `count` ports with consecutive numbers, lowest first; otherwise as `lease_ports`.
inline std::vector<port_lease> lease_block(std::size_t count, transport kind = transport::tcp,
                                           source_location where = source_location::current()) {
  return detail::lease_maker::make(
      detail::search_leases(count, detail::lease_shape::contiguous, kind, where));
}

/// Leases one free port; otherwise as `lease_ports`.
inline port_lease lease_port(transport kind = transport::tcp,
                             source_location where = source_location::current()) {
  return std::move(lease_ports(1, kind, where).front());
}

}  // namespace v0
}  // namespace tidewait
