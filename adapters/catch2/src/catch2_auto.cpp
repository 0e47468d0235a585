// SPDX-License-Identifier: BSL-1.0
//
// Compiled into every executable that links tidewait::catch2_auto.

#include <tidewait/catch2.hpp>

TIDEWAIT_CATCH2_WATCH_EVERY_TEST()
