// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "judged_inside.hpp"
#include "run_report.hpp"
#include "run_request.hpp"
#include "tree_process.hpp"

namespace tidewait::command {

/// The rule that decides whether this process may outlive the command; null if none does.
const policy_rule* deciding_rule(const policy& rules, const tree_process& process,
                                 const std::string& test);

/// Whether this process may outlive the command: a rule for its name, and for nothing else, holds
/// for a process without sockets, too.
bool is_tolerated(const policy& rules, const tree_process& process, const std::string& test);

/// The look after the command has ended: `seen` and `inside` are what it has to know of it.
report look_after_end(watch& look_after, look_depth depth, const run_request& what,
                      const testimony& seen, const judged_inside& inside);

/// Counts what the run left, records it as known if that was asked for, and has it be a warning if
/// the policy says so.
void conclude(const run_request& what, const policy& rules, const judged_inside& inside,
              run_report& run);

}  // namespace tidewait::command
