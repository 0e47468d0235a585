// SPDX-License-Identifier: BSL-1.0
//
// Tests that sweep.py runs with failing system calls. Those that leave something must never pass:
// where a call of their own fails, they throw.

#include <cstdlib>

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>

#include "../support/sockets.hpp"

namespace {

class Fixture : public tidewait::gtest::fixture {};

TEST_F(Fixture, Tidy) {
  const auto port = lease_port();
  ::close(sockets::listen_on(port.number()));
}

TEST_F(Fixture, LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

TEST_F(Fixture, LeavesABoundSocket) {
  const auto port = lease_port();
  sockets::bind_to(port.number());
}

TEST_F(Fixture, LeavesAUdpSocket) {
  const auto port = lease_port(tidewait::protocol_set::udp);
  sockets::bind_to(port.number(), SOCK_DGRAM);
}

TEST_F(Fixture, LeavesTimeWait) {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number(), false);
}

// With gtest_auto, where no fixture looks.
TEST(Auto, Tidy) { ::close(sockets::listen_on(0)); }
TEST(Auto, LeavesAListener) { sockets::listen_on(0); }

}  // namespace
