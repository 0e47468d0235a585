// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>

#include <tidewait/detail/process/os_calls.hpp>
#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

TIDEWAIT_INLINE void share_locks(const port_lease& lease, shared_descriptors& to) {
  for (const native_handle lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}
TIDEWAIT_INLINE void share_locks(const socket_path_lease& lease, shared_descriptors& to) {
  for (const native_handle lock : lease.lock_descriptors()) to.push_back(share_descriptor(lock));
}

}  // namespace process_impl

TIDEWAIT_INLINE server_options& server_options::pass_descriptor(detail::native_handle descriptor,
                                                                std::string name) {
  process_impl::require_room(sockets_.size(), name);
  sockets_.push_back(process_impl::share_descriptor(descriptor));
  socket_names_.push_back(std::move(name));
  return *this;
}

}  // namespace v0
}  // namespace tidewait
