// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/requirements.hpp>

namespace tidewait {
inline namespace v0 {

/// A file and a line of the user's program: the C++17 stand-in for `std::source_location`.
///
/// As a default argument, `source_location::current()` names the caller's line, since GCC
/// (from 4.8) and clang (from 9) evaluate the builtins where the call stands.
struct source_location {
  const char* file = "";  ///< As the compiler spells it (`__FILE__`); empty: not known.
  unsigned line = 0;      ///< Counted from 1; 0: not known.

  /// The place of the call, as a default argument.
  static constexpr source_location current(const char* file = __builtin_FILE(),
                                           unsigned line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

}  // namespace v0
}  // namespace tidewait
