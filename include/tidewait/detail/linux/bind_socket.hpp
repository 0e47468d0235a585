// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstring>
#include <string_view>
#include <system_error>

#include <tidewait/bind.hpp>
#include <tidewait/detail/linux/bind_witness.hpp>
#include <tidewait/detail/linux/kept_fd.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// An endpoint as the system takes it.
struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  explicit socket_address(const endpoint& value) noexcept {
    if (value.address.is_v6()) {
      sockaddr_in6 six{};
      six.sin6_family = AF_INET6;
      six.sin6_port = htons(value.port);
      six.sin6_scope_id = value.address.scope_id();
      std::memcpy(&six.sin6_addr, value.address.bytes().data(), 16);
      std::memcpy(&storage, &six, size = sizeof six);
    } else {
      sockaddr_in four{};
      four.sin_family = AF_INET;
      four.sin_port = htons(value.port);
      std::memcpy(&four.sin_addr, value.address.bytes().data(), 4);
      std::memcpy(&storage, &four, size = sizeof four);
    }
  }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Marks the address of a bind by which tidewait only asks, behind all that the kernel reads of it:
/// `tidewait run` does not take such a bind for one of the program. (A program that writes the mark
/// itself hides its failed binds from the report, and nothing else.)
inline constexpr std::string_view probe_mark = "tidewait";

inline void mark_as_probe(socket_address& where) noexcept {
  where.size = sizeof where.storage;
  char* const end = reinterpret_cast<char*>(&where.storage) + where.size;
  std::memcpy(end - probe_mark.size(), probe_mark.data(), probe_mark.size());
}

inline bool is_marked_as_probe(const sockaddr_storage& storage, std::size_t size) noexcept {
  const std::string_view bytes{reinterpret_cast<const char*>(&storage), sizeof storage};
  return size == sizeof storage && bytes.substr(size - probe_mark.size()) == probe_mark;
}

/// Where a socket is bound (getsockname(2)).
inline endpoint local_endpoint(int socket, std::error_code& error) noexcept {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    error = last_error();
    return {};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &storage, sizeof six);
    ip_address::v6_bytes bytes{};
    std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
    return {ip_address{bytes, six.sin6_scope_id}, ntohs(six.sin6_port)};
  }
  sockaddr_in four{};
  std::memcpy(&four, &storage, sizeof four);
  ip_address::v4_bytes bytes{};
  std::memcpy(bytes.data(), &four.sin_addr, bytes.size());
  return {ip_address{bytes}, ntohs(four.sin_port)};
}

/// Makes a socket and binds it; on failure none is returned and `error` says why. `asks`: it is for
/// tidewait alone, and not what the program binds.
inline unique_fd bind_socket(const bind_request& request, reuse options, std::error_code& error,
                             bool asks = true) {
  const int family = request.local.address.is_v6() ? AF_INET6 : AF_INET;
  const int type = request.protocol == protocol::tcp ? SOCK_STREAM : SOCK_DGRAM;
  unique_fd fd{sys.socket(family, type | SOCK_CLOEXEC, 0)};
  const auto set = [&](int level, int name, int value) {
    return sys.setsockopt(fd.get(), level, name, &value, sizeof value) == 0;
  };
  const bool address = options == reuse::address || options == reuse::address_and_port;
  const bool port = options == reuse::port || options == reuse::address_and_port;
  socket_address where{request.local};
  if (asks) mark_as_probe(where);
  if (fd &&
      (family == AF_INET || set(IPPROTO_IPV6, IPV6_V6ONLY, request.ipv6_only == ipv6_only::yes)) &&
      (!address || set(SOL_SOCKET, SO_REUSEADDR, 1)) &&
      (!port || set(SOL_SOCKET, SO_REUSEPORT, 1)) &&
      sys.bind(fd.get(), where.get(), where.size) == 0) {
    error.clear();
    return fd;
  }
  error = last_error();
  return unique_fd{};
}

/// Binds a port on every address of IPv4 and IPv6: the dual-stack wildcard, or 0.0.0.0 where IPv6
/// is off. Without reuse options this succeeds only if nothing at all uses the port.
inline unique_fd bind_whole_port(protocol which, std::uint16_t port, reuse options,
                                 std::error_code& error) {
  unique_fd fd = bind_socket({which, {ip_address::any_v6(), port}}, options, error);
  const bool no_ipv6 =
      error == std::errc::address_family_not_supported || error == std::errc::address_not_available;
  return no_ipv6 ? bind_socket({which, {ip_address::any_v4(), port}}, options, error)
                 : std::move(fd);
}

/// Whether `hold_port` works here.
inline constexpr bool can_hold_ports = true;

/// Takes a TCP port without listening, such that a server of the same user that sets SO_REUSEADDR
/// or SO_REUSEPORT can still bind and listen (socket(7)). The options are set after the bind: so
/// the bind itself succeeds only where nothing at all uses the port, and the kernel reads them
/// when the next socket comes.
inline std::error_code hold_port(std::uint16_t port, kept_fd& hold) {
  std::error_code error;
  unique_fd fd = bind_whole_port(protocol::tcp, port, reuse::none, error);
  constexpr int on = 1;
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
    if (!error && sys.setsockopt(fd.get(), SOL_SOCKET, option, &on, sizeof on) != 0)
      error = last_error();
  }
  if (!error) hold = kept_fd{std::move(fd)};
  return error;
}

/// How many clients may wait at most (listen(2)).
inline constexpr int longest_backlog = SOMAXCONN;

inline std::error_code listen_on(int socket, int backlog) noexcept {
  return sys.listen(socket, backlog) == 0 ? std::error_code{} : last_error();
}

/// The number by which sock_diag names a socket (SO_COOKIE); 0 if it cannot be asked.
template <typename Descriptor>
std::uint64_t socket_cookie(const Descriptor& socket) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/// Writes down that this process has bound a socket of its user's, past the functions of the C
/// library.
inline void note_bind(const bind_log& log, int socket, const bind_request& request) noexcept {
  const socket_address where{request.local};
  log.note(socket_call::bind, socket, where.get(), where.size, 0);
}
inline void note_listen(const bind_log& log, int socket) noexcept {
  log.note(socket_call::listen, socket, nullptr, 0, 0);
}

/// Whether the whole port is free. The caller sees to it that a concurrent fork() does not copy the
/// descriptor (`in_private_descriptor_table`).
inline std::error_code try_whole_port(protocol which, std::uint16_t port) {
  std::error_code error;
  bind_whole_port(which, port, reuse::none, error);
  return error;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
