// SPDX-License-Identifier: BSL-1.0
//
// Compiled into every executable that links tidewait::gtest_auto.

#include <tidewait/gtest.hpp>

namespace {

struct registration {
  registration() { tidewait::gtest::watch_every_test(); }
};

// GoogleTest takes environments before main() has begun, so this works with any main(). Before all
// other globals, since ours must be the first environment: set up before the user's, torn down
// after them.
[[gnu::init_priority(101)]] registration watching;

}  // namespace
