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

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Set in a thread that has a descriptor table of its own. ThreadSanitizer takes descriptor 3 of
/// one table for descriptor 3 of another and reports a race, so in such a thread it must see
/// neither socket(2) nor close(2): they go to the kernel past the C library's functions.
inline thread_local bool in_own_descriptor_table = false;

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

inline int call_close(int fd) {
  return in_own_descriptor_table ? static_cast<int>(::syscall(SYS_close, fd)) : ::close(fd);
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

/// What the system knows a socket, a file or a lock by.
using native_handle = int;

/// Owns a descriptor; -1 owns none.
class unique_fd {
 public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_{fd} {}
  unique_fd(unique_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    unique_fd{std::move(other)}.swap(*this);
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void swap(unique_fd& other) noexcept { std::swap(fd_, other.fd_); }
  /// Closes; keeps `errno`, so that an error read afterwards is still the one that mattered.
  void reset() noexcept {
    if (fd_ < 0) return;
    const int kept = errno;
    call_close(std::exchange(fd_, -1));
    errno = kept;
  }

 private:
  int fd_ = -1;
};

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
