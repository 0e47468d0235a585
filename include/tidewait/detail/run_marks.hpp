// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether `id` is one of the marks in the text of a TIDEWAIT_RUN variable.
inline bool has_mark(std::string_view marks, std::string_view id) noexcept {
  while (!marks.empty()) {
    const std::string_view mark = marks.substr(0, marks.find(':'));
    if (mark == id) return true;
    marks.remove_prefix(std::min(marks.size(), mark.size() + 1));
  }
  return false;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
