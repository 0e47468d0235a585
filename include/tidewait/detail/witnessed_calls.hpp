// SPDX-License-Identifier: BSL-1.0
#pragma once

// Of a backend: how calls of the program are seen while they happen. It defines functions of the C
// library, so only <tidewait/witness.hpp> includes it.
#include <tidewait/detail/os.hpp>

#if defined(TIDEWAIT_BACKEND)
#error "a test's backend witnesses nothing"
#else
#include TIDEWAIT_OS_WITNESSED
#endif
