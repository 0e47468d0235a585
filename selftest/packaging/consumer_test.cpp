// SPDX-License-Identifier: BSL-1.0
#include <gtest/gtest.h>

#include <tidewait/version.hpp>

TEST(Consumer, SeesTheVersionThatItAskedFor) {
  EXPECT_EQ(tidewait::version.major_part, 0);
  EXPECT_EQ(tidewait::version.minor_part, 1);
}
