// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/error.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// Waits until a bind to the endpoint, without SO_REUSEADDR and SO_REUSEPORT, would succeed: until
/// its listener, its connections and their TIME_WAITs are gone. Returns what `explain_bind` says
/// then: `free()`, or at the end of the time why not. It never connects to anybody, and keeps
/// nothing: another program can take the port as soon as it is free.
///
/// It asks the kernel when a socket on the port ends (sock_diag(7)), and in pauses of 250 ms at
/// most; 50 ms where the kernel does not tell. What no time can change, such as a right that is
/// missing, is returned at once. Errors: as of `explain_bind`.
[[nodiscard]] bind_explanation wait_until_free(const bind_request& request,
                                               std::chrono::milliseconds timeout);

/// The same for a TCP server.
[[nodiscard]] bind_explanation wait_until_free(const endpoint& local,
                                               std::chrono::milliseconds timeout);

/// The same for a port on any address, IPv4 or IPv6, as of `explain_port`.
[[nodiscard]] bind_explanation wait_until_free(protocol which, std::uint16_t port,
                                               std::chrono::milliseconds timeout);

/// Waits until somebody listens on the endpoint or on a wildcard address that includes it (of UDP:
/// until there is a socket without a peer). Returns the sockets with their owners; none at the end
/// of the time. It looks into the socket table and never connects, so that the server gets no
/// connection that it does not expect; the kernel does not tell when a socket appears, so it looks
/// in pauses of 50 ms at most. Throws `observe_error` if the table cannot be read.
[[nodiscard]] std::vector<observed_socket> wait_until_listening(const bind_request& request,
                                                                std::chrono::milliseconds timeout);

/// The same for a TCP server.
[[nodiscard]] std::vector<observed_socket> wait_until_listening(const endpoint& local,
                                                                std::chrono::milliseconds timeout);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/wait_until.hpp>
#endif
