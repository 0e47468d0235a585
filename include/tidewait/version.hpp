// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/requirements.hpp>

// The one place of the version: CMake reads these three lines.
#define TIDEWAIT_VERSION_MAJOR 0
#define TIDEWAIT_VERSION_MINOR 1
#define TIDEWAIT_VERSION_PATCH 0

namespace tidewait {
inline namespace v0 {

/// A version by its parts, ordered as Semantic Versioning orders them.
struct version_number {
  int major_part;  ///< Changes when something public breaks.
  int minor_part;  ///< Changes with new features; before 1.0, also when something breaks.
  int patch_part;  ///< Changes with corrections.
};

/// The version of these headers (https://semver.org).
inline constexpr version_number version{TIDEWAIT_VERSION_MAJOR, TIDEWAIT_VERSION_MINOR,
                                        TIDEWAIT_VERSION_PATCH};

}  // namespace v0
}  // namespace tidewait
