// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>

#include "bind_witness.hpp"
#include "process_tree.hpp"
#include "run_report.hpp"
#include "run_request.hpp"

namespace tidewait::command {

/// What to look after, and how.
struct launch {
  run_request asked;
  std::vector<int> inherited;       ///< Descriptors that the command keeps: the locks of leases.
  bool may_be_killed = false;       ///< CTest kills the launcher along with a test that times out.
  bind_witness* witness = nullptr;  ///< Of the binds of the command; none: nobody watches.
};

/// Runs a command under `tree` and looks what it left: sockets of its process tree, TIME_WAIT on
/// ports where it listened, processes that outlived it. They are still alive when it returns: to
/// end them is up to the caller. `error` of the report says if the command could not be executed.
/// Throws `std::system_error` if it could not be started or waited for; then `tree.started()` says
/// whether there is something to end.
run_report run_and_look(const launch& what, process_tree& tree);

}  // namespace tidewait::command
