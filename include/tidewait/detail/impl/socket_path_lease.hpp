// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/socket_path_lease.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE void socket_path_lease::end() noexcept {
  detail::raw_path_lease lease = std::exchange(lease_, {});
  // A forked child only closes its copy: the lease is its parent's.
  if (lease.pid == 0 || lease.pid != detail::process_id()) return;
  try {
    detail::unix_book& book = detail::shared_state::instance().unix_sockets;
    book.end_lease(lease.path);
    detail::remove_socket_directory({{}, lease.directory});
    book.forget_path(lease.path);
  } catch (...) {
    // Out of memory: a later lease removes the directory.
  }
}

TIDEWAIT_INLINE std::vector<detail::native_handle> socket_path_lease::lock_descriptors() const {
  if (!lease_.lock || lease_.lock.lost()) return {};
  return {lease_.lock.get()};
}

TIDEWAIT_INLINE socket_path_lease lease_socket_path(source_location where) {
  detail::shared_state& shared = detail::shared_state::instance();
  if (shared.told.first_time("socket_directories")) detail::remove_ended_socket_directories();
  detail::socket_directory made;
  std::string why;
  if (const std::error_code error = detail::make_socket_directory(made, why)) {
    throw lease_error{
        error, "leasing a path for a Unix socket",
        "no directory will do (" + why + "); set TMPDIR to a short directory of " + "your own"};
  }
  detail::raw_path_lease lease;
  lease.path = made.path + '/' + std::string{detail::leased_socket_name};
  lease.directory = std::move(made.path);
  lease.lock = std::move(made.lock);
  lease.where = where;
  lease.pid = detail::process_id();
  shared.unix_sockets.begin_lease(lease.path, lease.lock.mark());
  return socket_path_lease{std::move(lease)};
}

}  // namespace v0
}  // namespace tidewait
