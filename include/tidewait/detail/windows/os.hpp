// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/detail/windows/bind_socket.hpp>
#include <tidewait/detail/windows/bind_witness.hpp>
#include <tidewait/detail/windows/clocks.hpp>
#include <tidewait/detail/windows/native_handle.hpp>
#include <tidewait/detail/windows/own_file.hpp>
#include <tidewait/detail/windows/port_lock.hpp>
#include <tidewait/detail/windows/process_state.hpp>
#include <tidewait/detail/windows/read_sockets.hpp>
#include <tidewait/detail/windows/run_marker.hpp>
#include <tidewait/detail/windows/self.hpp>
#include <tidewait/detail/windows/unix_sockets.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string test_of_environment() {
  const char* const name = environment(test_variable);
  return name == nullptr ? std::string{} : sanitised(name);
}

/// What is around this process. Of the processes that started it, nothing is read.
struct test_context {
  std::string test = test_of_environment();
  std::uint64_t since = 0;
  std::vector<std::string> tests;
};
inline test_context read_test_context() { return {}; }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
