// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifndef __linux__
#error \
    "tidewait looks at sockets on Linux only: on other systems it does not compile, so that a check never passes without having looked"
#endif

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tidewait/detail/linux/unique_fd.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline int call_socket(int family, int type, int protocol) {
#ifdef SYS_socket
  if (in_own_descriptor_table)
    return static_cast<int>(::syscall(SYS_socket, family, type, protocol));
#endif
  return ::socket(family, type, protocol);
}

/// Past the functions of the C library: of these the program may have its own, and its witness
/// records what they do.
inline int call_bind(int fd, const sockaddr* where, socklen_t size) {
#ifdef SYS_bind
  return static_cast<int>(::syscall(SYS_bind, fd, where, size));
#else
  return ::bind(fd, where, size);
#endif
}

inline int call_listen(int fd, int backlog) {
#ifdef SYS_listen
  return static_cast<int>(::syscall(SYS_listen, fd, backlog));
#else
  return ::listen(fd, backlog);
#endif
}

/// The one seam to the system: a test replaces a member to provoke EINTR, EMFILE, EPERM, or points
/// `proc` to a tree of its own. Never changed outside tests.
struct system_calls {
  int (*socket)(int, int, int) = call_socket;
  int (*bind)(int, const sockaddr*, socklen_t) = call_bind;
  int (*listen)(int, int) = call_listen;
  int (*socketpair)(int, int, int, int*) = ::socketpair;
  int (*connect)(int, const sockaddr*, socklen_t) = ::connect;
  int (*setsockopt)(int, int, int, const void*, socklen_t) = ::setsockopt;
  ssize_t (*sendto)(int, const void*, std::size_t, int, const sockaddr*, socklen_t) = ::sendto;
  ssize_t (*recv)(int, void*, std::size_t, int) = ::recv;
  int (*openat)(int, const char*, int, ...) = ::openat;
  ssize_t (*read)(int, void*, std::size_t) = ::read;
  ssize_t (*write)(int, const void*, std::size_t) = ::write;
  ssize_t (*readlinkat)(int, const char*, char*, std::size_t) = ::readlinkat;
  const char* proc = "/proc";
};

inline system_calls sys;

inline std::error_code last_error() noexcept { return {errno, std::system_category()}; }

/// How much is read of a file at most, in bytes. An unprivileged process can have a command line or
/// an environment of gigabytes (prctl(2), PR_SET_MM_MAP).
inline constexpr std::size_t most_of_a_file = std::size_t{64} << 20U;
inline constexpr std::size_t most_of_an_environment = std::size_t{1} << 20U;

/// Reads on to the end of a file. Of more than `most` bytes the first `most`, and EFBIG.
inline std::error_code read_rest(int file, std::string& text, std::size_t most) {
  text.clear();
  for (;;) {
    const std::size_t used = text.size();
    const std::size_t room = std::min(used == 0 ? 4096 : used, most + 1 - used);
    text.resize(used + room);
    const ssize_t got = sys.read(file, text.data() + used, room);
    text.resize(used + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (text.size() > most) {
      text.resize(most);
      return std::make_error_code(std::errc::file_too_large);
    }
    if (got == 0) return {};
    if (got < 0 && errno != EINTR) return last_error();
  }
}

/// The whole of a file below the directory `at` (AT_FDCWD for a full path). Of one that is larger
/// than `most` the first `most` bytes, and EFBIG.
inline std::error_code read_file(int at, const char* path, std::string& text,
                                 std::size_t most = most_of_a_file) {
  text.clear();
  const unique_fd file{sys.openat(at, path, O_RDONLY | O_CLOEXEC)};
  return file ? read_rest(file.get(), text, most) : last_error();
}

/// A path below /proc, for `read_file(AT_FDCWD, …)`.
inline std::string proc_path(std::string_view below) {
  std::string path = sys.proc;
  path += '/';
  path += below;
  return path;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
