// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>

#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Throws `observe_error` if the bind could not even be asked for.
inline void require_answer(const endpoint& local, const std::error_code& answer) {
  for (const std::errc obstacle :
       {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
        std::errc::no_buffer_space, std::errc::not_enough_memory}) {
    if (answer != obstacle) continue;
    throw observe_error{answer, "asking the kernel for a bind to " + to_string(local),
                        "look for a descriptor leak, or raise the limit (ulimit -n, memory)"};
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
