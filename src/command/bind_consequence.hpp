// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

#include "testimony.hpp"

namespace tidewait::command {

/// TIME_WAITs on a port of the command that block no later bind.
struct harmless_port {
  endpoint local;
  std::size_t count = 0;  ///< Of TIME_WAITs.
  std::string why;        ///< "the kernel chose the port"
};

/// Takes the TIME_WAITs that keep nobody out of a report: where the kernel chose the number, since
/// nobody asks for it again; where the options with which the command bound the port let the next
/// bind through, which is asked of the kernel. On a leased port, where not all options are known,
/// and where a rule says `fail:time_wait`, they stay.
std::vector<harmless_port> take_harmless(report& found, const testimony& seen, const policy& rules);

/// Fails a report, or adds a warning, for each bind that failed and each server on a wildcard
/// address, as the rules `bind_failed` and `wildcard` of the policy say. Where a rule would fail
/// the report and not all binds were seen, the report cannot be clean: its `blind` says so.
void judge_conduct(report& found, const testimony& seen, const policy& rules);

/// One sentence for each reason.
std::vector<std::string> describe(const std::vector<harmless_port>& ports);

}  // namespace tidewait::command
