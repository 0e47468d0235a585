// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

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

/// When the command has ended, each process below us has lost who started it.
void call_descendants_orphans(report& found);

/// What tests inside the command have left, by the journal, is not left by "an earlier test"; and
/// what one of them has reported and failed for, or a rule lets it leave, is not reported once
/// more. `since`: when the command was started, as `detail::wall_clock` has it. Returns on which
/// ports they have left anything.
std::set<std::uint16_t> recognise_own_tests(run_report& run, const policy& rules,
                                            std::uint64_t since);

/// Counts what the run left, records it as known if that was asked for, and has it be a warning if
/// the policy says so. `counted`: ports of which tests inside the command have counted what is
/// harmless.
void conclude(const run_request& what, const policy& rules, const std::set<std::uint16_t>& counted,
              run_report& run);

}  // namespace tidewait::command
