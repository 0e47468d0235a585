// SPDX-License-Identifier: BSL-1.0
#ifndef CATCH_CONFIG_ENABLE_BENCHMARKING
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#endif
#ifdef SELFTEST_CATCH_MAIN
#define CATCH_CONFIG_MAIN  // Catch2's main(), compiled here
#endif
#include "../support/sockets.hpp"
#include "catch.hpp"

TEST_CASE("benchmark") {
  sockets::listen_on(0);
  BENCHMARK("nothing") { return 1; };
}
