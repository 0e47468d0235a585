// SPDX-License-Identifier: BSL-1.0
// [test]
#include "echo_server.hpp"

#include <tidewait/gtest.hpp>

class EchoServer : public tidewait::gtest::fixture {};

TEST_F(EchoServer, RepliesTwice) {
  const tidewait::port_lease port = lease_port();
  echo_server server{port.number()};
  EXPECT_EQ(server.ask("hi"), "hi");
  EXPECT_EQ(server.ask("again"), "again");
}
// [test]
