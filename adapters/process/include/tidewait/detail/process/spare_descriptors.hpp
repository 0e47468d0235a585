// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Descriptors that a server is to find at its own numbers are kept out of the way of 3, 4, …
inline constexpr int first_spare_descriptor = 64;
inline constexpr std::size_t most_passed_sockets = first_spare_descriptor - 3;

/// A copy of a descriptor: the original may be closed while the server still needs it.
inline std::shared_ptr<const unique_fd> share_descriptor(int fd) {
  unique_fd copy{::fcntl(fd, F_DUPFD_CLOEXEC, first_spare_descriptor)};
  if (!copy) {
    throw error{last_error(), "copying descriptor " + std::to_string(fd),
                "it is not open, or this process has no descriptors left (ulimit -n)"};
  }
  return std::make_shared<const unique_fd>(std::move(copy));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
