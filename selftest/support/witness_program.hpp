// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "private_network.hpp"
#include "run_program.hpp"

/// Runs one test in a network of its own, and then counts the TIME_WAITs there.
inline selftest::run_result run_alone(const std::string& program,
                                      const std::vector<std::string>& arguments,
                                      const std::string& policy, int& time_waits) {
  selftest::run_result run;
  const std::string told = in_private_network([&](auto say) {
    std::vector<std::string> command{program};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const selftest::run_result test =
        selftest::run_together(command, {"SUBJECT_PORT=20000", "TIDEWAIT_POLICY=" + policy});
    const selftest::run_result table =
        selftest::run_together({"ss", "-Htan", "state", "time-wait"});
    if (table.status != 0) {
      say("skip: ss: " + table.out);
      return;
    }
    const auto count = std::count(table.out.begin(), table.out.end(), '\n');
    say(std::to_string(count) + ' ' + std::to_string(test.status) + ' ' + test.out);
  });
  std::istringstream parts{told};
  if (parts >> time_waits >> run.status) {
    run.out = told.substr(static_cast<std::size_t>(parts.tellg()) + 1);
  } else {
    time_waits = -1;
    run.out = told;
  }
  return run;
}

inline bool has(const selftest::run_result& run, const std::string& text) {
  return run.out.find(text) != std::string::npos;
}

class WitnessProgram : public testing::Test {
 protected:
  selftest::run_result run(const std::string& program, std::vector<std::string> arguments,
                           const std::string& policy = "") {
    selftest::run_result run = run_alone(program, std::move(arguments), policy, time_waits_);
    if (time_waits_ < 0 && run.out.rfind("skip: ", 0) == 0) skipped_ = run.out;
    return run;
  }

  int time_waits_ = 0;
  std::string skipped_;
};
