// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/port_lease.hpp>

namespace tidewait {
inline namespace v0 {

/// What keeps a bind to this endpoint from succeeding now, as text; empty if nothing does. It is
/// what an adapter's `is_free` says. Where no socket table can be read it has the kernel's answer
/// alone, and says so. Throws `observe_error` if not even a bind can be asked for.
std::string obstacle(const endpoint& local, protocol which = protocol::tcp);

/// The same for a port on any address.
std::string obstacle(std::uint16_t port, protocol which = protocol::tcp);

/// The same for a lease, on each protocol that it is for.
std::string obstacle(const port_lease& port);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/impl/obstacle.hpp>
#endif
