// SPDX-License-Identifier: BSL-1.0
//
// What the headers of servers as child processes leave out with TIDEWAIT_COMPILED: Boost.Process,
// and with it most of what they cost to compile.
#include <tidewait/detail/compiled.hpp>

#ifdef TIDEWAIT_COMPILED
#include <tidewait/detail/process/impl/server_exit.hpp>
#include <tidewait/detail/process/impl/server_options.hpp>
#include <tidewait/detail/process/impl/server_process.hpp>
#endif
