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

namespace tidewait::command {

/// What to look after, and how.
struct launch {
  std::vector<std::string> command;
  std::string name;    ///< In the report.
  bool named = false;  ///< As a test, not by its command line.
  policy rules;
  std::vector<int> inherited;       ///< Descriptors that the command keeps: the locks of leases.
  bind_witness* witness = nullptr;  ///< Of the binds of the command; none: nobody watches.
};

/// Whether this process may outlive the command: a rule for its name, and for nothing else, holds
/// for a process without sockets, too.
bool is_tolerated(const policy& rules, const tree_process& process, const std::string& test);

/// Runs a command under `tree` and looks what it left: sockets of its process tree, TIME_WAIT on
/// ports where it listened, processes that outlived it. They are still alive when it returns: to
/// end them is up to the caller. `error` of the report says if the command could not be executed.
/// Throws `std::system_error` if it could not be started or waited for; then `tree.started()` says
/// whether there is something to end.
run_report run_and_look(const launch& what, process_tree& tree);

}  // namespace tidewait::command
