// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>

#include <ctime>
#include <string_view>

#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Appends to a file, made if it is not there, in one write: O_APPEND puts what several processes
/// write one after the other (open(2)).
inline std::error_code append_file(const char* path, std::string_view text) {
  // O_NONBLOCK: a pipe that nobody reads is an error.
  const unique_fd file{
      sys.openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666)};
  if (!file) return last_error();
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno != EINTR) return last_error();
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

/// Not a pipe, a terminal or a device, which may never end.
inline bool is_regular_file(const char* path) noexcept {
  struct stat info {};
  return ::stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

inline std::uint64_t nanoseconds_of(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// Milliseconds since 1970.
inline std::uint64_t wall_clock() noexcept { return nanoseconds_of(CLOCK_REALTIME) / 1000000U; }

/// The same, when this machine was started: cookies begin anew.
inline std::uint64_t boot_time() noexcept {
  const std::uint64_t up = nanoseconds_of(CLOCK_BOOTTIME);
  return (nanoseconds_of(CLOCK_REALTIME) - up) / 1000000U;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
