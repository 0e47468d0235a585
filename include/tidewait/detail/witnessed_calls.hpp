// SPDX-License-Identifier: BSL-1.0
#pragma once

// Of a backend: how calls of the program are seen while they happen. It defines functions of the C
// library, so only <tidewait/witness.hpp> includes it.
#if defined(TIDEWAIT_BACKEND)
#error "a test's backend witnesses nothing"
#elif defined(_WIN32)
#error "tidewait does not witness binds on Windows: leave out <tidewait/witness.hpp> there"
#else
#include <tidewait/detail/linux/witnessed_calls.hpp>
#endif
