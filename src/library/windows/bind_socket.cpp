// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include <tidewait/detail/windows/bind_socket.hpp>
#include <tidewait/detail/windows/read_sockets.hpp>

#include "system.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

/// An endpoint as the system takes it.
struct socket_address {
  sockaddr_storage storage{};
  int size = 0;

  explicit socket_address(const endpoint& value) noexcept {
    if (value.address.is_v6()) {
      sockaddr_in6 six{};
      six.sin6_family = AF_INET6;
      six.sin6_port = ::htons(value.port);
      six.sin6_scope_id = value.address.scope_id();
      std::memcpy(&six.sin6_addr, value.address.bytes().data(), 16);
      std::memcpy(&storage, &six, sizeof six);
      size = sizeof six;
    } else {
      sockaddr_in four{};
      four.sin_family = AF_INET;
      four.sin_port = ::htons(value.port);
      std::memcpy(&four.sin_addr, value.address.bytes().data(), 4);
      std::memcpy(&storage, &four, sizeof four);
      size = sizeof four;
    }
  }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// The ports of a protocol on which the table has a socket, of any kind; sorted.
std::vector<std::uint16_t> ports_in_table(protocol which) {
  socket_query query;
  query.tcp = which == protocol::tcp;
  query.udp = which == protocol::udp;
  std::vector<observed_socket> sockets;
  visibility seen;
  read_sockets(query, sockets, seen);
  std::vector<std::uint16_t> ports;
  for (const observed_socket& each : sockets) ports.push_back(each.local.port);
  std::sort(ports.begin(), ports.end());
  return ports;
}

/// What was read while a `one_table_read` is there: of TCP and of UDP.
struct table_read {
  int users = 0;
  std::optional<std::vector<std::uint16_t>> ports[2];
};

table_read& read_of_this_thread() noexcept {
  thread_local table_read only;
  return only;
}

/// Whether the table has a socket on the port.
bool table_shows(protocol which, std::uint16_t port) {
  table_read& known = read_of_this_thread();
  auto& ports = known.ports[which == protocol::tcp ? 0 : 1];
  if (known.users == 0 || !ports) ports = ports_in_table(which);
  return std::binary_search(ports->begin(), ports->end(), port);
}

}  // namespace

one_table_read::one_table_read() noexcept {
  table_read& known = read_of_this_thread();
  if (known.users++ == 0) known.ports[0] = known.ports[1] = std::nullopt;
}
one_table_read::~one_table_read() { --read_of_this_thread().users; }

endpoint local_endpoint(native_handle socket, std::error_code& error) noexcept {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    error = last_error();
    return {};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &storage, sizeof six);
    ip_address::v6_bytes bytes{};
    std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
    return {ip_address{bytes, six.sin6_scope_id}, ::ntohs(six.sin6_port)};
  }
  sockaddr_in four{};
  std::memcpy(&four, &storage, sizeof four);
  ip_address::v4_bytes bytes{};
  std::memcpy(bytes.data(), &four.sin_addr, bytes.size());
  return {ip_address{bytes}, ::ntohs(four.sin_port)};
}

unique_fd bind_socket(const bind_request& request, reuse options, std::error_code& error,
                      bool /*asks: nobody watches here*/) {
  error = start_winsock();
  if (error) return {};
  const int family = request.local.address.is_v6() ? AF_INET6 : AF_INET;
  const bool tcp = request.protocol == protocol::tcp;
  const SOCKET made =
      ::WSASocketW(family, tcp ? SOCK_STREAM : SOCK_DGRAM, tcp ? IPPROTO_TCP : IPPROTO_UDP, nullptr,
                   0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  unique_fd socket = made == INVALID_SOCKET ? unique_fd{} : unique_fd{made, handle_kind::socket};
  const auto set = [&](int level, int name, DWORD value) {
    return ::setsockopt(socket.get(), level, name, reinterpret_cast<const char*>(&value),
                        sizeof value) == 0;
  };
  const bool shares = options == reuse::address || options == reuse::address_and_port;
  const socket_address where{request.local};
  if (socket &&
      (family == AF_INET ||
       set(IPPROTO_IPV6, IPV6_V6ONLY, request.ipv6_only == ipv6_only::yes ? 1 : 0)) &&
      set(SOL_SOCKET, shares ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, 1) &&
      ::bind(socket.get(), where.get(), where.size) == 0) {
    return socket;
  }
  error = last_error();
  if (error == std::errc::permission_denied && !shares &&
      table_shows(request.protocol, request.local.port)) {
    error = std::make_error_code(std::errc::address_in_use);
  }
  return {};
}

unique_fd bind_whole_port(protocol which, std::uint16_t port, reuse options,
                          std::error_code& error) {
  unique_fd socket = bind_socket({which, {ip_address::any_v6(), port}}, options, error);
  const bool no_ipv6 =
      error == std::errc::address_family_not_supported || error == std::errc::address_not_available;
  return no_ipv6 ? bind_socket({which, {ip_address::any_v4(), port}}, options, error)
                 : std::move(socket);
}

std::error_code try_whole_port(protocol which, std::uint16_t port) {
  std::error_code error;
  bind_whole_port(which, port, reuse::none, error);
  if (!error && table_shows(which, port)) error = std::make_error_code(std::errc::address_in_use);
  return error;
}

std::error_code listen_on(native_handle socket, int backlog) noexcept {
  return ::listen(socket, backlog) == 0 ? std::error_code{} : last_error();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
