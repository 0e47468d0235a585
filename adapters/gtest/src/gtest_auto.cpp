// SPDX-License-Identifier: BSL-1.0
//
// Compiled into everything that links tidewait::gtest_auto.

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

// What the linker is told to look for (-u), so that it takes this file out of a static library.
// Weak, since a program may have the file from several libraries; they act once.
extern "C" void tidewait_gtest_auto();
extern "C" [[gnu::weak, gnu::used]] void tidewait_gtest_auto() {}
