// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <winsock2.h>
// clang-format off: after winsock2.h
#include <ws2tcpip.h>
// clang-format on

#include <cstdint>
#include <system_error>
#include <utility>

/// Plain sockets on 127.0.0.1, as a program of Windows makes them. Errors are thrown.
namespace sockets {

/// Closes at the end of its life, or when told to.
class owned_socket {
 public:
  explicit owned_socket(SOCKET socket) : socket_{socket} {
    if (socket == INVALID_SOCKET) fail("socket");
  }
  owned_socket(owned_socket&& other) noexcept
      : socket_{std::exchange(other.socket_, INVALID_SOCKET)} {}
  owned_socket& operator=(owned_socket&&) = delete;
  ~owned_socket() { close(); }

  SOCKET get() const noexcept { return socket_; }
  void close() noexcept {
    if (socket_ != INVALID_SOCKET) ::closesocket(std::exchange(socket_, INVALID_SOCKET));
  }

  [[noreturn]] static void fail(const char* call) {
    throw std::system_error{::WSAGetLastError(), std::system_category(), call};
  }

 private:
  SOCKET socket_;
};

inline void start() {
  WSADATA data{};
  static const int refused = ::WSAStartup(MAKEWORD(2, 2), &data);
  if (refused != 0) throw std::system_error{refused, std::system_category(), "WSAStartup"};
}

inline owned_socket make(int type) {
  start();
  return owned_socket{
      ::WSASocketW(AF_INET, type, 0, nullptr, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT)};
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = ::htons(port);
  where.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  return where;
}

/// The table of Wine names the owner of those sockets only which a process has read from.
inline void show_owner(const owned_socket& socket) {
  u_long on = 1;
  char letter = 0;
  ::ioctlsocket(socket.get(), static_cast<long>(FIONBIO), &on);
  ::recv(socket.get(), &letter, 1, 0);
  on = 0;
  ::ioctlsocket(socket.get(), static_cast<long>(FIONBIO), &on);
}

/// A socket bound to the port, 0: any; `option`: SO_REUSEADDR, SO_EXCLUSIVEADDRUSE or none.
inline owned_socket bound(std::uint16_t port, int type = SOCK_STREAM, int option = 0) {
  owned_socket socket = make(type);
  const DWORD on = 1;
  if (option != 0)
    ::setsockopt(socket.get(), SOL_SOCKET, option, reinterpret_cast<const char*>(&on), sizeof on);
  const sockaddr_in where = loopback(port);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    owned_socket::fail("bind");
  if (type == SOCK_DGRAM) show_owner(socket);
  return socket;
}

inline owned_socket listening(std::uint16_t port, int option = 0) {
  owned_socket socket = bound(port, SOCK_STREAM, option);
  if (::listen(socket.get(), 16) != 0) owned_socket::fail("listen");
  show_owner(socket);
  return socket;
}

inline std::uint16_t port_of(const owned_socket& socket) {
  sockaddr_in where{};
  int size = sizeof where;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&where), &size) != 0)
    owned_socket::fail("getsockname");
  return ::ntohs(where.sin_port);
}

/// Both ends of a connection: the client's, then the server's.
inline std::pair<owned_socket, owned_socket> connection(const owned_socket& listener) {
  owned_socket client = make(SOCK_STREAM);
  const sockaddr_in where = loopback(port_of(listener));
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    owned_socket::fail("connect");
  owned_socket server{::accept(listener.get(), nullptr, nullptr)};
  return {std::move(client), std::move(server)};
}

/// Leaves a TIME_WAIT on the port: a connection that the server's side closes first.
inline void leave_time_wait(std::uint16_t port) {
  const owned_socket listener = listening(port);
  auto [client, server] = connection(listener);
  server.close();
  char letter = 0;
  ::recv(client.get(), &letter, 1, 0);  // until the end has come
}

}  // namespace sockets
