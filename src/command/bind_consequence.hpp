// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <tidewait/endpoint.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

#include "testimony.hpp"

namespace tidewait::command {

/// Why a TIME_WAIT on this port of the command keeps nobody out: the kernel chose the number, so
/// that nobody asks for it again, or the options with which the command bound the port let the next
/// bind through, which is asked of the kernel. "" if one of its servers would be kept out, if not
/// all options are known, or if nobody had the port.
std::string why_harmless(const testimony& seen, std::uint16_t port);

/// Fails a report, or adds a warning, for each bind that failed and each server on a wildcard
/// address, as the rules `bind_failed` and `wildcard` of the policy say. Where a rule would fail
/// the report and not all binds were seen, the report cannot be clean: its `blind` says so.
/// `is_judged`: the process that made the call has done the same.
void judge_conduct(report& found, const testimony& seen, const policy& rules,
                   const std::function<bool(const witnessed_bind&)>& is_judged);

/// One sentence for each reason.
std::vector<std::string> describe(const std::vector<harmless_remainder>& ports);

}  // namespace tidewait::command
