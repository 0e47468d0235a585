// SPDX-License-Identifier: BSL-1.0
//
// Compiled into every executable that links tidewait::gtest_auto.

#include <tidewait/gtest.hpp>

namespace {

// GoogleTest takes environments before main() has begun, so this works with any main().
[[maybe_unused]] const bool watching = (tidewait::gtest::watch_every_test(), true);

}  // namespace
