// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The first descriptor that is passed by the convention of sd_listen_fds(3), SD_LISTEN_FDS_START.
inline constexpr int first_listen_fd = 3;

/// Puts descriptors where the convention has them, 3, 4, ..., over whatever is there, and without
/// close-on-exec. False and errno on failure. Async-signal-safe: for a child before its exec.
inline bool place_listen_fds(int* descriptors, std::size_t count) noexcept {
  const int above = first_listen_fd + static_cast<int>(count);
  for (std::size_t i = 0; i < count; ++i) {  // first out of each other's way
    descriptors[i] = ::fcntl(descriptors[i], F_DUPFD_CLOEXEC, above);
    if (descriptors[i] < 0) return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(descriptors[i], first_listen_fd + static_cast<int>(i)) < 0) return false;
  }
  return true;
}

/// Writes the calling process's pid and a 0 to `to`, which has room for them. Async-signal-safe.
inline void write_own_pid(char* to) noexcept {
  char digits[16];
  int used = 0;
  for (int rest = ::getpid(); rest != 0; rest /= 10)
    digits[used++] = static_cast<char>('0' + rest % 10);
  while (used != 0) *to++ = digits[--used];
  *to = '\0';
}

/// The environment of this process without the variables of the convention.
inline std::vector<std::string> variables_without_listen_fds() {
  std::vector<std::string> variables;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view entry{*each};
    const std::string_view name = entry.substr(0, entry.find('='));
    if (name != "LISTEN_FDS" && name != "LISTEN_FDNAMES" && name != "LISTEN_PID")
      variables.emplace_back(entry);
  }
  return variables;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
