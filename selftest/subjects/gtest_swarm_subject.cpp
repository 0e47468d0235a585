// SPDX-License-Identifier: BSL-1.0
//
// 200 tests of which some leave something: many copies of this program run at once.

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>

#include "../support/sockets.hpp"

namespace {

class Swarm : public tidewait::gtest::fixture, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Of, Swarm, testing::Range(0, 200));

TEST_P(Swarm, UsesAPort) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number(), false);
  const auto [client, server] = sockets::connection(listener, port.number());
  const bool leaves_time_wait = GetParam() % 20 == 7;
  ::close(leaves_time_wait ? server : client);
  ::close(leaves_time_wait ? client : server);
  const bool leaves_listener = GetParam() % 20 == 3;
  if (!leaves_listener) ::close(listener);
}

}  // namespace
