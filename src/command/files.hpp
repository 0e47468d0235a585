// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

namespace tidewait::command {

// What each system has of its own for paths and temporary files.

/// What divides the parts of a path.
extern const char* const directory_separators;

/// "build/net_tests" → "net_tests".
inline std::string_view last_part(std::string_view path) noexcept {
  const auto slash = path.find_last_of(directory_separators);
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// Makes an empty file that no other user may read or write, in the directory of temporary files:
/// `name` and a number that nobody can guess. Returns its path. Throws `std::system_error`.
std::string make_temporary(std::string_view name);

void remove_file(const std::string& path) noexcept;

}  // namespace tidewait::command
