// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/// Opens a listener; -1 if it cannot.
inline int open_listener() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
      ::listen(fd, 1) != 0)
    return -1;
  return fd;
}

/// Opens a listener and forgets it.
inline bool forget_listener() { return open_listener() >= 0; }

/// Opens a listener and closes it.
inline bool close_listener() { return ::close(open_listener()) == 0; }
