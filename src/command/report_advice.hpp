// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report_findings.hpp"

namespace tidewait::command {

/// One thing to do.
struct report_step {
  std::string what;                ///< In a sentence.
  std::vector<std::string> paste;  ///< Lines of CMake or C++ that do it.
  std::string why;                 ///< What it wins; may be empty.
};

/// What to do, what wins most first.
struct report_advice {
  std::vector<report_step> steps;
  std::size_t jobs = 1;        ///< What the estimates are for: ctest -j.
  report_time serial = 0;      ///< All measured tests one after the other.
  report_time locked = 0;      ///< At once, with those kept apart that share a number.
  report_time free = 0;        ///< At once, if none did.
  std::size_t unmeasured = 0;  ///< Tests whose duration is not known: not in the estimates.
};

report_advice advise(const journal_records& records, const report_model& model,
                     const report_summary& summary, std::size_t jobs);

}  // namespace tidewait::command
