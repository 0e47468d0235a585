// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The value of one of our environment variables; null if it is not set, and in a program that has
/// rights which its caller does not have, such as a setuid program: the caller chose the variables,
/// and must not choose with those rights what is written, passed or reported (secure_getenv(3)).
inline const char* environment(const char* name) noexcept { return ::secure_getenv(name); }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
