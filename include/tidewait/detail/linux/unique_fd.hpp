// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Set in a thread that has a descriptor table of its own. ThreadSanitizer takes descriptor 3 of
/// one table for descriptor 3 of another and reports a race, so in such a thread it must see
/// neither socket(2) nor close(2): they go to the kernel past the C library's functions.
inline thread_local bool in_own_descriptor_table = false;

inline int call_close(int fd) {
  return in_own_descriptor_table ? static_cast<int>(::syscall(SYS_close, fd)) : ::close(fd);
}

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

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
