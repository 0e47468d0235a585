// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/process/windows/shared_handles.hpp>
#include <tidewait/detail/process/windows/words.hpp>

#define TIDEWAIT_SERVER_BACKEND "tidewait/detail/process/windows/server_run.hpp"
