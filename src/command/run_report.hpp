// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/report.hpp>

#include "testimony.hpp"
#include "tree_process.hpp"

namespace tidewait::command {

/// What a test inside the command has left, and has itself failed for.
struct told_by_test {
  std::string test;
  std::string place;  ///< "127.0.0.1:8080"
  std::size_t sockets = 0;
};

/// What came of a command that was run and looked after.
struct run_report {
  report found;                       ///< Also names the run: `found.test`.
  std::vector<tree_process> orphans;  ///< Who was alive after the command and is not tolerated.
  std::vector<told_by_test> told;     ///< No finding: one socket is reported once.
  /// What tests inside the command have left, and failed for, that is not there any more.
  std::size_t reported_and_gone = 0;
  bool unnamed = false;  ///< Somebody was alive whom /proc does not show.
  /// Why the command was not run, or how it ended is not known; empty otherwise.
  std::string error;
  std::optional<int> status;  ///< Of the command, 128 + n for a signal; nothing: it did not end.
  int ended_by = 0;           ///< The signal that ended it; 0: none.
  std::chrono::milliseconds took{0};    ///< Until the command ended.
  std::chrono::milliseconds waited{0};  ///< Then, for its processes to end by themselves.
  bool isolated = false;
  testimony witness;          ///< The command's binds.
  bool show_summary = false;  ///< So does what the witness saw, and what it cannot see.
  bool show_failures = true;  ///< Those that failed belong to the text.
  std::string said_failures;  ///< The text of those, if it was said while it ran.
  bool warns_only = false;    ///< The policy has whatever was left be a warning.

  /// Processes that were left, and sockets that a test has failed for.
  std::size_t beside_findings() const noexcept {
    std::size_t count = orphans.size() + (unnamed ? 1 : 0);
    for (const told_by_test& each : told) count += each.sockets;
    return count;
  }
  /// Sockets, processes and incidents that fail the run.
  std::size_t leaks() const noexcept;
  /// Likewise what is only warned of.
  std::size_t warnings() const noexcept;
  bool clean() const noexcept {
    return found.clean() && (warns_only || (orphans.empty() && told.empty())) && error.empty();
  }
};

/// Whether the command ended with 0, or with one of `also_success`.
bool succeeded(const run_report& run, const std::vector<int>& also_success);

/// What the launcher ends with. Never 0 unless the command was run, succeeded, left nothing, and
/// that was looked at. `also_success`: exit codes of the command that mean success, beside 0.
int verdict(const run_report& run, const std::vector<int>& also_success);

/// The whole report as people read it; empty if there is nothing to say.
std::string to_text(const run_report& run);

/// One JSON object as docs/launcher.md describes it, ending in a newline.
std::string to_json_text(const run_report& run);

/// A JUnit XML document with one test case.
std::string to_junit(const run_report& run);

/// One workflow command of GitHub Actions, or nothing if the run is clean.
std::string to_github_annotation(const run_report& run);

/// The line that CTest takes out of a test's output and CDash shows as a measurement; nothing if
/// the command was not run.
std::string to_ctest_measurement(const run_report& run);

}  // namespace tidewait::command
