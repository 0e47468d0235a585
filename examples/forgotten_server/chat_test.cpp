// SPDX-License-Identifier: BSL-1.0
// [test]
#include <gtest/gtest.h>

#include "echo_server.hpp"  // your server

TEST(Chat, Listens) {
  auto* server = new echo_server{8080};  // nobody stops it
  EXPECT_EQ(server->port(), 8080);
}
// [test]
