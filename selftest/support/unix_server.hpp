// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

/// A Unix socket of this process. Closing it unlinks nothing.
class unix_server {
 public:
  unix_server() = default;
  explicit unix_server(int fd) : fd_{fd} {}
  unix_server(unix_server&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  unix_server& operator=(unix_server&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unix_server() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Binds, and listens unless it is of datagrams. `name` is a path, or an abstract name behind '@'.
inline unix_server serve_unix(const std::string& name, int type = SOCK_STREAM) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  name.copy(where.sun_path, sizeof where.sun_path - 1);
  const bool abstract = name.front() == '@';
  if (abstract) where.sun_path[0] = '\0';
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0U : 1U));
  unix_server server{::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)};
  const bool served = ::bind(server.get(), reinterpret_cast<const sockaddr*>(&where), size) == 0 &&
                      (type == SOCK_DGRAM || ::listen(server.get(), 8) == 0);
  if (!served) throw std::system_error{errno, std::generic_category(), "serving " + name};
  return server;
}

/// A directory of this test's own, removed with what is in it.
class socket_folder {
 public:
  socket_folder() {
    char name[] = "/tmp/selftest-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::system_error{errno, std::generic_category(), name};
    path_ = name;
  }
  socket_folder(const socket_folder&) = delete;
  socket_folder& operator=(const socket_folder&) = delete;
  ~socket_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
