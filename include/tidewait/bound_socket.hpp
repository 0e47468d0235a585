// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <system_error>

#include <tidewait/bind.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/os_handles.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {

/// A bound socket, for code under test that takes a socket instead of a port number. The port is
/// taken from the first moment on, so nobody can come between: better than any lease.
///
///     tidewait::listening_socket socket;
///     my_server server{socket.release()};
///
/// It is closed at the end of its life, unless it was released, and by an exec (close-on-exec); a
/// child program gets it by `listen_fds`.
class [[nodiscard]] bound_socket {
 public:
  /// A TCP socket on 127.0.0.1 and a port that the kernel chooses. Throws `lease_error`.
  bound_socket() : bound_socket{bind_request{protocol::tcp, loopback()}} {}

  /// A socket on the endpoint; port 0: the kernel chooses. Throws `lease_error`.
  explicit bound_socket(const bind_request& request, reuse options = reuse::none);

  /// The descriptor, on Windows the SOCKET; it stays this object's. -1: none.
  detail::native_handle native_handle() const noexcept { return fd_.get(); }
  /// Hands the descriptor over to the caller, who closes it from now on.
  [[nodiscard]] detail::native_handle release() noexcept { return fd_.release(); }

  /// Where it is bound, with the port that the kernel chose; also after `release()`.
  const endpoint& local() const& noexcept { return local_; }
  /// The port, for clients of the code under test.
  std::uint16_t port() const& noexcept { return local_.port; }
  /// Of a temporary neither can be asked: the socket would be closed before the answer is used.
  const endpoint& local() const&& = delete;
  std::uint16_t port() const&& = delete;

 protected:
  /// 127.0.0.1, and a port of the kernel's choice.
  static endpoint loopback() noexcept {
    return {ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, 0};
  }

  /// Throws `lease_error`: what was being done, for which endpoint, and the error.
  [[noreturn]] static void fail(const char* doing, const bind_request& request,
                                const std::error_code& error);

 private:
  detail::unique_fd fd_{};
  endpoint local_{};
};

/// A TCP socket that listens already: clients can connect before the code under test has adopted
/// it, and wait in its backlog. Otherwise as `bound_socket`.
class [[nodiscard]] listening_socket : public bound_socket {
 public:
  /// On 127.0.0.1 and a port that the kernel chooses. Throws `lease_error`.
  listening_socket() : listening_socket{loopback()} {}

  /// How many clients may wait by default; net.core.somaxconn is the kernel's own limit.
  static constexpr int longest_backlog = 4096;

  /// On the endpoint; port 0: the kernel chooses. `backlog`: how many clients may wait (listen(2)).
  /// Throws `lease_error`.
  explicit listening_socket(const endpoint& local, int backlog = longest_backlog,
                            reuse options = reuse::none);
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/bound_socket.hpp>
#endif
