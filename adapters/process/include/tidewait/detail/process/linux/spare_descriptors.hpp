// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

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

/// Whether a server can be passed one socket more; otherwise throws.
inline void require_room(std::size_t passed, const std::string& name) {
  if (passed < most_passed_sockets) return;
  throw error{std::make_error_code(std::errc::too_many_files_open), "passing socket " + name,
              "a server is passed at most " + std::to_string(most_passed_sockets)};
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
