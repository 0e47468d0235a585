// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <system_error>

#include <tidewait/detail/windows/job_process.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// A copy of a handle: the original may be closed while the server still needs it.
inline std::shared_ptr<const unique_fd> share_descriptor(native_handle handle) {
  try {
    return std::make_shared<const unique_fd>(duplicate(handle));
  } catch (const std::system_error& failure) {
    throw error{failure.code(), "copying handle " + std::to_string(handle), "it is not open"};
  }
}

/// Whether a server can be passed one socket more. Throws: sd_listen_fds(3) is a convention of
/// Unix.
[[noreturn]] inline void require_room(std::size_t, const std::string& name) {
  throw error{std::make_error_code(std::errc::operation_not_supported), "passing socket " + name,
              "on Windows no server finds a socket by its descriptor: give it a leased port"};
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
