// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "command.hpp"
#include "report_advice.hpp"
#include "report_findings.hpp"
#include "report_model.hpp"
#include "report_records.hpp"

namespace tidewait::command {

/// Everything that a report is made from.
struct journal_report {
  journal_records records;
  report_model model;
  report_summary summary;
  report_advice advice;
};

/// What two runs differ in, by the keys of their findings.
struct report_comparison {
  std::vector<const report_finding*> appeared, gone;
  std::size_t remained = 0;
  report_time before = 0, after = 0;  ///< All measured tests one after the other.
};

report_comparison compare(const journal_report& before, const journal_report& after);

/// Reads journals and works everything out. `jobs`: what the estimates are for. Lines from before
/// `since` are left out.
void make_report(const std::vector<std::string>& paths, std::size_t jobs, journal_report& report,
                 report_time since = 0);

/// "312 tests of 48 processes, 1234 lines"; what could not be read, in sentences.
std::string describe(const journal_report& report);
std::vector<std::string> caveats(const journal_report& report);

/// The summary as people read it.
output to_terminal(const journal_report& report, const painter& paint);
output to_terminal(const report_comparison& comparison, const painter& paint);

/// One JSON object as docs/report.md describes it, ending in a newline.
std::string to_json_text(const journal_report& report);

/// A JUnit XML document: a test case for each test, and its findings as failures.
std::string to_junit(const journal_report& report);

/// The page.
std::string to_html(const journal_report& report);

}  // namespace tidewait::command
