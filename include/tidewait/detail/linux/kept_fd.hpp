// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include <tidewait/detail/linux/unique_fd.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A descriptor's number, and which open file it named (fstat(2)).
struct descriptor_mark {
  int fd = -1;
  dev_t device = 0;
  ino_t inode = 0;

  static descriptor_mark of(int fd) noexcept {
    struct stat info {};
    return look_at(fd, info) ? descriptor_mark{} : descriptor_mark{fd, info.st_dev, info.st_ino};
  }
  /// It named a file, and now names none or another. Where the system does not tell, it is not
  /// lost.
  bool lost() const noexcept {
    if (fd < 0) return false;
    struct stat info {};
    const int error = look_at(fd, info);
    if (error != 0) return error == EBADF;
    return info.st_dev != device || info.st_ino != inode;
  }

 private:
  /// The error, 0 if none; keeps `errno`.
  static int look_at(int fd, struct stat& info) noexcept {
    const int kept = errno;
    const int error = ::fstat(fd, &info) == 0 ? 0 : errno;
    errno = kept;
    return error;
  }
};

/// Owns a descriptor for as long as the program under test lets it: close_range(2), closefrom(3) or
/// a daemon's loop over all numbers may close it, and then the number is somebody else's and is
/// never closed here.
class kept_fd {
 public:
  kept_fd() noexcept = default;
  explicit kept_fd(unique_fd fd) noexcept
      : fd_{std::move(fd)}, mark_{descriptor_mark::of(fd_.get())} {}
  kept_fd(kept_fd&& other) noexcept = default;
  kept_fd& operator=(kept_fd&& other) noexcept {
    reset();
    fd_ = std::move(other.fd_);
    mark_ = other.mark_;
    return *this;
  }
  kept_fd(const kept_fd&) = delete;
  kept_fd& operator=(const kept_fd&) = delete;
  ~kept_fd() { reset(); }

  int get() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  /// Somebody else has closed it.
  bool lost() const noexcept { return fd_ && mark_.lost(); }
  descriptor_mark mark() const noexcept { return fd_ ? mark_ : descriptor_mark{}; }
  void reset() noexcept {
    if (lost()) fd_.release();
    fd_.reset();
  }

 private:
  unique_fd fd_{};
  descriptor_mark mark_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
