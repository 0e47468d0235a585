// SPDX-License-Identifier: BSL-1.0
//
// A library that the program opens with dlopen(3), and that knows nothing of tidewait.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

extern "C" [[gnu::visibility("default")]] int plugin_serve(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(port);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 &&
                 ::listen(fd, 16) == 0
             ? fd
             : -1;
}
