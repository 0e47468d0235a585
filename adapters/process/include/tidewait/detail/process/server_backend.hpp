// SPDX-License-Identifier: BSL-1.0
#pragma once

// Starting a server, and what is known of it: `start_server`, `server_run`, `may_hold`.
#include <tidewait/detail/os_handles.hpp>

#ifdef TIDEWAIT_NO_LISTEN_FDS  // Windows
#include <tidewait/detail/process/windows/server_run.hpp>
#else
#include <tidewait/detail/process/linux/hidden_holder.hpp>
#include <tidewait/detail/process/linux/start_server.hpp>
#endif
