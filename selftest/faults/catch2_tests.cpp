// SPDX-License-Identifier: BSL-1.0
//
// Tests that sweep.py runs with failing system calls. Those that leave something must never pass:
// where a call of their own fails, they throw.

#include "../catch2/catch.hpp"
//
#include <tidewait/catch2.hpp>

#include "../support/sockets.hpp"

namespace {

using fixture = tidewait::catch2::fixture;

TEST_CASE_METHOD(fixture, "tidy") {
  const auto port = lease_port();
  ::close(sockets::listen_on(port.number()));
  CHECK(true);
}

TEST_CASE_METHOD(fixture, "leaves a listener") {
  const auto port = lease_port();
  sockets::listen_on(port.number());
  CHECK(true);
}

TEST_CASE_METHOD(fixture, "leaves time_wait") {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number(), false);
  CHECK(true);
}

// With catch2_auto, where no fixture looks.
TEST_CASE("auto leaves a listener") {
  sockets::listen_on(0);
  CHECK(true);
}

}  // namespace
