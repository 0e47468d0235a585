// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/process_info.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The test that a command line runs: the one that gtest_discover_tests() has it select, otherwise
/// the name of the program. `arguments` as in /proc/PID/cmdline.
inline std::string test_of_command(std::string_view arguments) {
  constexpr std::string_view filter = "--gtest_filter=";
  std::string_view program;
  for (bool first = true; !arguments.empty(); first = false) {
    const std::string_view each = arguments.substr(0, arguments.find('\0'));
    arguments.remove_prefix(std::min(each.size() + 1, arguments.size()));
    if (first) program = each.substr(each.rfind('/') + 1);
    if (each.substr(0, filter.size()) != filter) continue;
    const std::string_view test = each.substr(filter.size());
    if (!test.empty() && test.find_first_of("*?:-") == std::string_view::npos)
      return sanitised(test);
  }
  return sanitised(program);
}

/// Finds the other tests of the nearest ctest above this process. Descent tells which test a
/// process belongs to, so the tests need not use tidewait.
class ctest_siblings {
 public:
  /// `own_line`: this process and its ancestors.
  explicit ctest_siblings(const std::vector<int>& own_line) {
    for (std::size_t i = 1; i < own_line.size(); ++i) {
      if (read_process_name(open_process(own_line[i]).get()) != "ctest") continue;
      ctest_ = own_line[i];
      own_ = own_line[i - 1];
      return;
    }
  }

  /// The test that a process belongs to; empty for one of this test, and of none.
  std::string test_of(int pid) const {
    constexpr int most_steps = 64;
    for (int steps = 0; ctest_ != 0 && pid > 1 && steps < most_steps; ++steps) {
      const unique_fd process = open_process(pid);
      const auto stat = read_process_stat(process.get());
      if (!stat || pid == own_) return {};
      if (stat->parent == ctest_) {
        std::string arguments;
        static_cast<void>(
            read_of_memory(process.get(), "cmdline", arguments, longest_foreign_text));
        return test_of_command(arguments);
      }
      pid = stat->parent;
    }
    return {};
  }

 private:
  int ctest_ = 0;
  int own_ = 0;  // the child of ctest that this process is, or descends from
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
