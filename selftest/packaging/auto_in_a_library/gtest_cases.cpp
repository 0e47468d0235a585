// SPDX-License-Identifier: BSL-1.0
#include <gtest/gtest.h>

#include "listener.hpp"

TEST(Server, IsClosed) { EXPECT_TRUE(close_listener()); }
TEST(Server, IsForgotten) { EXPECT_TRUE(forget_listener()); }
