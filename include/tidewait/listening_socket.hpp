// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/bound_socket.hpp>

namespace tidewait {
inline namespace v0 {

/// A TCP socket that listens already: clients can connect before the code under test has adopted
/// it, and wait in its backlog. Otherwise as `bound_socket`.
class [[nodiscard]] listening_socket : public bound_socket {
 public:
  /// On 127.0.0.1 and a port that the kernel chooses. Throws `lease_error`.
  listening_socket() : listening_socket{loopback()} {}

  /// On the endpoint; port 0: the kernel chooses. `backlog`: how many clients may wait (listen(2)).
  /// Throws `lease_error`.
  explicit listening_socket(const endpoint& local, int backlog = detail::longest_backlog,
                            reuse options = reuse::none)
      : bound_socket{bind_request{protocol::tcp, local}, options} {
    if (const auto error = detail::listen_on(native_handle(), backlog)) {
      fail("listening on ", {protocol::tcp, this->local()}, error);
    }
  }

  /// The same; sets `error` instead of throwing it, and is then no socket.
  listening_socket(const endpoint& local, int backlog, reuse options, std::error_code& error)
      : bound_socket{bind_request{protocol::tcp, local}, options, error} {
    if (!error) error = detail::listen_on(native_handle(), backlog);
    if (error) close();
  }
};

}  // namespace v0
}  // namespace tidewait
