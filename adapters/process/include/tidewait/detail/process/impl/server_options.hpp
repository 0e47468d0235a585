// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>

#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/error.hpp>
#include <tidewait/server_options.hpp>

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
    throw observe_error{last_error(), "copying descriptor " + std::to_string(fd),
                        "it is not open, or this process has no descriptors left (ulimit -n)"};
  }
  return std::make_shared<const unique_fd>(std::move(copy));
}

TIDEWAIT_INLINE void share_locks(const port_lease& lease, shared_descriptors& to) {
  for (const int lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}
TIDEWAIT_INLINE void share_locks(const socket_path_lease& lease, shared_descriptors& to) {
  for (const int lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}

}  // namespace detail

TIDEWAIT_INLINE server_options& server_options::pass_descriptor(int descriptor, std::string name) {
  if (sockets_.size() == detail::most_passed_sockets) {
    throw observe_error{std::make_error_code(std::errc::too_many_files_open),
                        "passing socket " + name, "a server is passed at most 61"};
  }
  sockets_.push_back(detail::share_descriptor(descriptor));
  socket_names_.push_back(std::move(name));
  return *this;
}

}  // namespace v0
}  // namespace tidewait
