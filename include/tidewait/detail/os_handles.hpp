// SPDX-License-Identifier: BSL-1.0
#pragma once

// The part of <tidewait/detail/os.hpp> that headers need which every user includes: the types that
// own descriptors (unique_fd; kept_fd, which the program under test may close).
#if defined(TIDEWAIT_BACKEND)
#include TIDEWAIT_BACKEND
#elif defined(_WIN32)
#include <tidewait/detail/windows/native_handle.hpp>
#else
#include <tidewait/detail/linux/kept_fd.hpp>
#endif
