// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/policy.hpp>

namespace tidewait::command {

/// A command that is to be run and looked after.
struct run_request {
  std::vector<std::string> command;
  std::string name;    ///< In the report.
  bool named = false;  ///< As a test, not by its command line.
  policy rules;        ///< Those of the command line.
  policy in_force;     ///< With those of TIDEWAIT_POLICY, as they were read at the start.
};

}  // namespace tidewait::command
