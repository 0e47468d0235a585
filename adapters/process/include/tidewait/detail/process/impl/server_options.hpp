// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <tidewait/detail/process/spare_descriptors.hpp>
#include <tidewait/error.hpp>
#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

TIDEWAIT_INLINE void share_locks(const port_lease& lease, shared_descriptors& to) {
  for (const int lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}
TIDEWAIT_INLINE void share_locks(const socket_path_lease& lease, shared_descriptors& to) {
  for (const int lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}

}  // namespace detail

TIDEWAIT_INLINE server_options& server_options::pass_descriptor(int descriptor, std::string name) {
  if (sockets_.size() == detail::most_passed_sockets) {
    throw error{std::make_error_code(std::errc::too_many_files_open), "passing socket " + name,
                "a server is passed at most 61"};
  }
  sockets_.push_back(detail::share_descriptor(descriptor));
  socket_names_.push_back(std::move(name));
  return *this;
}

}  // namespace v0
}  // namespace tidewait
