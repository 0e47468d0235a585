// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/detail/process/os_calls.hpp>
#include <tidewait/server_exit.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE std::string to_string(const server_exit& end) {
  if (end.how == ending::unknown) return "a status that another wait() in this program has taken";
  if (end.how == ending::exited) return "exit status " + std::to_string(end.value);
  return process_impl::ended_by(end.value);
}

}  // namespace v0
}  // namespace tidewait
