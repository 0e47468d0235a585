// SPDX-License-Identifier: BSL-1.0
//
// Links tidewait::catch2_auto, which looks after every test case.

#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "sockets.hpp"

TEST_CASE("closes its listener") { sockets::listening(0); }

TEST_CASE("leaves a listener") {
  static const sockets::owned_socket left = sockets::listening(0);
  CHECK(left.get() != INVALID_SOCKET);
}
