// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <system_error>

#include <tidewait/bind.hpp>
#include <tidewait/detail/windows/native_handle.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where a socket is bound (getsockname).
endpoint local_endpoint(native_handle socket, std::error_code& error) noexcept;

/// Makes a socket that no child inherits, and binds it; on failure none is returned and `error`
/// says why. Without reuse options it is bound with SO_EXCLUSIVEADDRUSE: a mere bind of Windows
/// lets another socket have the port on another address, or take it by SO_REUSEADDR. There is no
/// SO_REUSEPORT: that option changes nothing. Nor does `asks`: no witness looks at binds here.
///
/// WSAEACCES is `address_in_use` where a socket on the port is in the table (it has set
/// SO_EXCLUSIVEADDRUSE, or belongs to another user), otherwise `permission_denied`.
unique_fd bind_socket(const bind_request& request, reuse options, std::error_code& error,
                      bool asks = true);

/// Binds a port on every address of IPv4 and IPv6: the dual-stack wildcard, or 0.0.0.0 where IPv6
/// is off.
unique_fd bind_whole_port(protocol which, std::uint16_t port, reuse options,
                          std::error_code& error);

/// Whether nothing at all uses the port: neither in the way of a bind nor, as a TIME_WAIT that
/// Windows lets a bind pass, in the table.
std::error_code try_whole_port(protocol which, std::uint16_t port);

/// Whether `hold_port` works here: no. Of a socket that is bound, Windows does not change how the
/// port may be shared.
inline constexpr bool can_hold_ports = false;
inline std::error_code hold_port(std::uint16_t, kept_fd&) noexcept {
  return std::make_error_code(std::errc::operation_not_supported);
}

/// How many clients may wait at most (SOMAXCONN).
inline constexpr int longest_backlog = 0x7fffffff;
std::error_code listen_on(native_handle socket, int backlog) noexcept;

/// Sockets of Windows have no such name.
template <typename Handle>
std::uint64_t socket_cookie(const Handle&) noexcept {
  return 0;
}

/// While one is there, the calling thread reads the table at most once for `try_whole_port`.
class one_table_read {
 public:
  one_table_read() noexcept;
  one_table_read(const one_table_read&) = delete;
  one_table_read& operator=(const one_table_read&) = delete;
  ~one_table_read();
};

/// There is no fork() that could copy a socket, and no child inherits ours.
template <typename Work>
void in_private_descriptor_table(Work&& work) {
  const one_table_read for_all;
  work();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
