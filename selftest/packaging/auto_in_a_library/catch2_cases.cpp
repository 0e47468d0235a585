// SPDX-License-Identifier: BSL-1.0
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include "listener.hpp"

TEST_CASE("a listener is forgotten") { REQUIRE(forget_listener()); }
