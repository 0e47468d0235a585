// SPDX-License-Identifier: BSL-1.0
#pragma once

// Starting a server, and what is known of it: `start_server`, `server_run`, `may_hold`.
#include <tidewait/detail/process/os_calls.hpp>

#include TIDEWAIT_SERVER_BACKEND
