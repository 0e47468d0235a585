// SPDX-License-Identifier: BSL-1.0
#pragma once

// The part of <tidewait/detail/os_calls.hpp> that headers need which every user includes: the types
// that own descriptors (unique_fd; kept_fd, which the program under test may close).
#include <tidewait/detail/os.hpp>

#if defined(TIDEWAIT_BACKEND)
#include TIDEWAIT_BACKEND
#else
#include TIDEWAIT_OS_HANDLES
#endif
