// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <system_error>

#include <tidewait/bind.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// Asks the kernel itself whether this bind would succeed now, with and without SO_REUSEADDR and
/// SO_REUSEPORT (bind(2), socket(7)), by binding and closing at once. It never listens.
[[nodiscard]] bind_outcome probe_bind(const bind_request& request);

/// Whether nothing at all uses this port, on any address of IPv4 or IPv6: empty, or the
/// kernel's reason (EADDRINUSE, EACCES). About 8 µs, whatever the number of sockets.
[[nodiscard]] std::error_code probe_port(protocol which, std::uint16_t port);

/// Why a bind would fail, and how much could be seen. Both go to `render`.
struct bind_explanation {
  diagnosis why;    ///< The answers of the kernel, what is in the way, and why.
  visibility seen;  ///< Blind where no table can be read: then the kernel's answer alone remains.

  /// Whether the bind would succeed.
  bool free() const noexcept { return why.free(); }
};

/// Why a bind would fail now, or that it would succeed: asks the kernel, and looks at the sockets
/// on that port and at who holds them; where the kernel has nothing against the bind, only at those
/// that serve another address, which takes the same time whatever the number of connections.
/// Throws `observe_error` if the kernel cannot be asked, for example for lack of descriptors.
[[nodiscard]] bind_explanation explain_bind(const bind_request& request);

/// The same for a port on any address, IPv4 or IPv6: the bind that is explained is one to the
/// address of the most lasting socket there.
[[nodiscard]] bind_explanation explain_port(protocol which, std::uint16_t port);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/explain_bind.hpp>
#endif
