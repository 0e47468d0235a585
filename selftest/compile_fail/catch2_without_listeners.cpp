// expect: include <tidewait/catch2.hpp> before <catch2/catch.hpp>
// SPDX-License-Identifier: BSL-1.0
#ifndef TWIN
#include <catch2/catch.hpp>
#endif
//
#include <tidewait/catch2.hpp>

TIDEWAIT_CATCH2_WATCH_EVERY_TEST()
