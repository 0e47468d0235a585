// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <system_error>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_visit.hpp>
#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// Whether a process lets this one see its descriptors.
inline bool shows_descriptors(int process) {
  bool refused = false;
  const auto error = for_each_name(process, "fd", [&](int fds, const char* name) {
    char link[8];
    refused = sys.readlinkat(fds, name, link, sizeof link) < 0 && is_refusal(last_error());
    return false;
  });
  return !refused && !is_refusal(error);
}

/// Whether a process of the server, which does not show its descriptors, can have opened the
/// socket: it has given up its rights before or after that, as postgres and nginx do, or was
/// started with rights that this process has not got.
inline bool may_hold(const living_process& member, const observed_socket& socket) {
  if (shows_descriptors(member.directory.get())) return false;
  if (socket.uid == 0 || socket.uid == user_id()) return true;
  const auto status = read_process_status(member.directory.get());
  return status && (status->uid == socket.uid || status->real_uid == socket.uid);
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
