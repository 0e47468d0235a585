// SPDX-License-Identifier: BSL-1.0
//
// Knows nothing of tidewait but links tidewait::gtest_auto, and has one fixture that leases.

#include <tidewait/gtest.hpp>

#include "sockets.hpp"

namespace {

TEST(Plain, ClosesItsListener) { sockets::listening(0); }

TEST(Plain, LeavesAListener) {
  static const sockets::owned_socket left = sockets::listening(0);
  EXPECT_NE(left.get(), INVALID_SOCKET);
}

class Fixture : public tidewait::gtest::fixture {};

TEST_F(Fixture, ClosesItsListener) {
  const tidewait::port_lease port = lease_port();
  sockets::listening(port.number());
}

TEST_F(Fixture, LeavesAListener) {
  const tidewait::port_lease port = lease_port();
  static const sockets::owned_socket left = sockets::listening(port.number());
  EXPECT_FALSE(tidewait::gtest::is_free(port));
}

}  // namespace
