// SPDX-License-Identifier: BSL-1.0
#pragma once

// What messages say of the operating system: how its options and settings are called, and what to
// change. A test's own backend speaks of Linux.
#include <tidewait/detail/os.hpp>

#include TIDEWAIT_OS_WORDS
