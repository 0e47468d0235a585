// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/cause.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/owner_text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whose closing of the connection left a TIME_WAIT.
enum class closed_by : std::uint8_t {
  server,  ///< Its local port is a server's.
  client,  ///< It was a client's own number, out of the ephemeral range.
  itself,  ///< Both ends were one socket.
  either,  ///< Both numbers are of that range, and nothing is known of a listener.
};

inline closed_by who_closed(const observed_socket& socket, bool served,
                            const bind_environment& environment) {
  const port_range& ephemeral = environment.rules.ephemeral;
  if (socket.local == socket.remote) return closed_by::itself;
  const bool known =
      served || environment.leased || environment.listened || socket.bound || !socket.test.empty();
  if (known || !ephemeral.contains(socket.local.port)) return closed_by::server;
  return ephemeral.contains(socket.remote.port) ? closed_by::either : closed_by::client;
}

inline bool is_served(const std::vector<observed_socket>& sockets) noexcept {
  return std::any_of(sockets.begin(), sockets.end(), [](const observed_socket& each) {
    return each.state == socket_state::listen;
  });
}

/// Explains the TIME_WAITs of one kind, of which `first` is one.
inline explanation explain_time_wait(std::size_t count, closed_by whose,
                                     const observed_socket& first, bool only,
                                     const bind_outcome& outcome,
                                     const bind_environment& environment) {
  const std::string many = count == 1 ? "the connection" : std::to_string(count) + " connections";
  const std::string keeps = ", so the kernel keeps the port in TIME_WAIT";
  const std::string outside = "use a port outside the ephemeral range (lease_port() gives one)";
  switch (whose) {
    case closed_by::itself:
      return {cause::self_connection, "a client that had connected to itself has closed" + keeps,
              "connect only once the server listens, and " + outside};
    case closed_by::client:
      return {cause::client_time_wait,
              "a client had this port as its own local number and closed " + many +
                  (count == 1 ? " to " : " first, one of them to ") + to_string(first.remote) +
                  (count == 1 ? " first" : "") + keeps + "; " +
                  in_ephemeral_range(environment.rules.ephemeral),
              outside};
    case closed_by::either:
      return {cause::time_wait,
              "this side closed " + many +
                  " first, as a server or as a client that had this port "
                  "as its own local number" +
                  keeps + "; " + in_ephemeral_range(environment.rules.ephemeral),
              outside};
    case closed_by::server: break;
  }
  return {cause::time_wait, "this side closed " + many + " first" + keeps,
          fix_time_wait(first.bound.get(), environment.strict, only, outcome)};
}

/// Explains all TIME_WAITs among the sockets, each kind once.
template <typename Add>
void explain_time_waits(const std::vector<observed_socket>& sockets, const bind_outcome& outcome,
                        const bind_environment& environment, Add&& add) {
  const bool served = is_served(sockets);
  for (const closed_by whose :
       {closed_by::server, closed_by::client, closed_by::itself, closed_by::either}) {
    std::size_t count = 0;
    const observed_socket* first = nullptr;
    for (const observed_socket& each : sockets) {
      if (each.state != socket_state::time_wait || who_closed(each, served, environment) != whose)
        continue;
      if (first == nullptr) first = &each;
      ++count;
    }
    if (first == nullptr) continue;
    add(explain_time_wait(count, whose, *first, count == sockets.size(), outcome, environment));
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
