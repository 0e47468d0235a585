// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/process/linux/spare_descriptors.hpp>
#include <tidewait/detail/process/linux/words.hpp>

// In quotes: `linux` is a macro of some compilers.
#define TIDEWAIT_SERVER_BACKEND "tidewait/detail/process/linux/start_server.hpp"
