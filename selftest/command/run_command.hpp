// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include "../support/run_program.hpp"

using selftest::run_options;
using selftest::run_program;
using selftest::run_result;

/// Runs the command that was built with these tests.
inline run_result tidewait_command(std::vector<std::string> arguments,
                                   const run_options& options = {}) {
  arguments.insert(arguments.begin(), SELFTEST_COMMAND);
  return run_program(arguments, options);
}

#define SKIP_IF_NOT_PERMITTED(result) \
  if ((result).status == 126) GTEST_SKIP() << (result).err
