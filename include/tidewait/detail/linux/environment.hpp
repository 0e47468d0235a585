// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>
#include <string_view>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The value of one of our environment variables; null if it is not set, and in a program that has
/// rights which its caller does not have, such as a setuid program: the caller chose the variables,
/// and must not choose with those rights what is written, passed or reported (secure_getenv(3)).
inline const char* environment(const char* name) noexcept { return ::secure_getenv(name); }

/// Whether the variable says so.
inline bool turned_off(const char* name) noexcept {
  const char* const value = environment(name);
  return value != nullptr && (std::string_view{value} == "off" || std::string_view{value} == "0");
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
