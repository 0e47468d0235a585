// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/port_lease.hpp>

#include "run.hpp"
#include "run_report.hpp"
#include "run_request.hpp"

namespace tidewait::command {

/// Leases the ports that were asked for, and puts them into the command and its environment.
std::vector<port_lease> lease_for(const run_options& options, std::vector<std::string>& command);

/// Prints the report of a run, as far as was asked for.
void tell(const run_options& options, run_report& result);

/// Runs the command, says what it left and ends that. Throws if the command was not started. Each
/// system has its own.
run_report launch_and_end(const run_options& options, const run_request& asked);

}  // namespace tidewait::command
