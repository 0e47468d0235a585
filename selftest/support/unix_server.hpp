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

/// A name as an address: a path, or an abstract name behind '@'.
struct unix_endpoint {
  explicit unix_endpoint(const std::string& name) {
    where.sun_family = AF_UNIX;
    name.copy(where.sun_path, sizeof where.sun_path - 1);
    const bool abstract = name.front() == '@';
    if (abstract) where.sun_path[0] = '\0';
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                  (abstract ? 0U : 1U));
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&where); }

  sockaddr_un where{};
  socklen_t size = 0;
};

inline unix_server bind_unix(const std::string& name, int type = SOCK_STREAM) {
  const unix_endpoint where{name};
  unix_server server{::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)};
  if (::bind(server.get(), where.get(), where.size) != 0)
    throw std::system_error{errno, std::generic_category(), "binding " + name};
  return server;
}

/// Binds, and listens unless it is of datagrams.
inline unix_server serve_unix(const std::string& name, int type = SOCK_STREAM, int backlog = 8) {
  unix_server server = bind_unix(name, type);
  if (type != SOCK_DGRAM && ::listen(server.get(), backlog) != 0)
    throw std::system_error{errno, std::generic_category(), "serving " + name};
  return server;
}

/// A client. It does not wait where the queue of the server is full.
inline unix_server connect_unix(const std::string& name, int type = SOCK_STREAM) {
  const unix_endpoint where{name};
  unix_server client{::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (::connect(client.get(), where.get(), where.size) != 0 && errno != EAGAIN)
    throw std::system_error{errno, std::generic_category(), "connecting to " + name};
  return client;
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
