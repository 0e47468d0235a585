// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether CTest's name of a test, such as "net.Suite.Test", ends with the test's own.
inline bool ctest_name_says_all(std::string_view ctest_name, std::string_view test) noexcept {
  return ctest_name.size() >= test.size() &&
         ctest_name.substr(ctest_name.size() - test.size()) == test;
}

/// The name to find a test by: CTest's if that ends with the test's own, otherwise both.
inline std::string full_test_name(const std::string& test, const std::string& ctest_name) {
  if (ctest_name.empty()) return test;
  return ctest_name_says_all(ctest_name, test) ? ctest_name : test + " (" + ctest_name + ')';
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
