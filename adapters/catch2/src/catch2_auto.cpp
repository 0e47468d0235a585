// SPDX-License-Identifier: BSL-1.0
//
// Compiled into everything that links tidewait::catch2_auto.

#include <tidewait/catch2.hpp>

TIDEWAIT_CATCH2_WATCH_EVERY_TEST()

// What the linker is told to look for (-u), so that it takes this file out of a static library.
// Weak, since a program may have the file from several libraries; they act once.
extern "C" void tidewait_catch2_auto();
extern "C" [[gnu::weak, gnu::used]] void tidewait_catch2_auto() {}
