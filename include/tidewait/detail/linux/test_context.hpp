// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string test_of_environment() {
  const char* const name = environment(test_variable);
  return name == nullptr ? std::string{} : sanitised(name);
}

/// What is around this process.
struct test_context {
  std::string test = test_of_environment();
  /// When the outermost process that has this name was started, in milliseconds since 1970; 0: not
  /// known.
  std::uint64_t since = 0;
  std::vector<std::string> tests{};  ///< What those who started this process are called.
};

inline test_context read_test_context() {
  test_context around;
  const auto ticks_a_second = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  std::string text;
  std::error_code error;  // then nothing around is known
  for (const int pid : own_line(error)) {
    const unique_fd directory = open_process(pid);
    static_cast<void>(read_environment(directory.get(), text));
    std::string test = sanitised(variable_in(text, test_variable));
    const bool of_this_test = around.tests.empty() || (!test.empty() && test == around.test);
    around.tests.push_back(std::move(test));
    const auto stat = of_this_test ? read_process_stat(directory.get()) : std::nullopt;
    if (stat) around.since = boot_time() + stat->start * 1000 / ticks_a_second;
  }
  return around;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
