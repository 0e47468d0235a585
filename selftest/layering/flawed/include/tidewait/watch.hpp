// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/report.hpp>

#ifdef _WIN32
#define TIDEWAIT_WATCHES_NOTHING
#endif
// Throws `observe_error`.
