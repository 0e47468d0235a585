// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace catch2 {
namespace impl {

/// What the listener knows of the test case that runs now; nothing, if there is no listener: in
/// Catch2 2.13, if every translation unit includes <catch2/catch.hpp> before <tidewait/catch2.hpp>.
struct running_test {
  bool known = false;
  bool may_fail = false;  ///< [!mayfail], [!shouldfail]: a failure would not count.
  bool failed = false;    ///< An assertion of this pass has failed.
  bool fatal = false;     ///< A signal is being handled.
  std::string name{};
  std::vector<std::string> tags{};
  const char* file = "tidewait";
  std::size_t line = 1;
  std::size_t failures = 0;         ///< That were made of reports.
  std::size_t depth = 0;            ///< Of open sections, the test case itself included.
  std::vector<std::string> path{};  ///< The sections of this pass.
  std::vector<std::pair<std::string, std::size_t>>
      passes{};                ///< How many there were, for each path.
  std::vector<report> held{};  ///< Found while an exception was on its way to Catch2.

  /// Never destroyed: globals may look, too.
  static running_test& now() {
    static running_test& only = *new running_test;
    return only;
  }

  /// A section at the current depth; those of GIVEN and WHEN are named with an indentation.
  void enter(const std::string& section) {
    path.resize(depth - 2);
    path.push_back(section.substr(std::min(section.find_first_not_of(' '), section.size())));
  }

  /// "name / section / section (pass 3)". Passes on the same path come from a generator.
  std::string full_name() {
    std::string text = name;
    for (const std::string& each : path) text += " / " + each;
    const std::size_t before = passes_before();
    return before == 0 ? text : text + " (pass " + std::to_string(before + 1) + ')';
  }

  std::size_t& passes_before() {
    std::string key;
    for (const std::string& each : path) key += each + '\n';
    for (auto& [known_path, count] : passes) {
      if (known_path == key) return count;
    }
    return passes.emplace_back(std::move(key), 0).second;
  }
};

/// The policy of `watch_every_test`, once that was called.
inline std::optional<policy>& rules_for_every_test() {
  static std::optional<policy>& only = *new std::optional<policy>;
  return only;
}

}  // namespace impl
}  // namespace catch2
}  // namespace v0
}  // namespace tidewait
