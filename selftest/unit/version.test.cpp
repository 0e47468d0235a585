// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <gtest/gtest.h>

#include <tidewait/version.hpp>

namespace {

TEST(Version, IsTheOneThatCMakeRead) {
  const auto& [major, minor, patch] = tidewait::version;
  EXPECT_EQ(std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch),
            SELFTEST_PROJECT_VERSION);
}

TEST(Version, IsTheOneOfTheMacros) {
  static_assert(tidewait::version.major_part == TIDEWAIT_VERSION_MAJOR);
  static_assert(tidewait::version.minor_part == TIDEWAIT_VERSION_MINOR);
  static_assert(tidewait::version.patch_part == TIDEWAIT_VERSION_PATCH);
}

}  // namespace
