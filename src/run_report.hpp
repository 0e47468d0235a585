// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <tidewait/report.hpp>

#include "process_tree.hpp"

namespace tidewait::command {

/// What came of a command that was run and looked after.
struct run_report {
  report found;                         ///< Also names the run: `found.test`.
  std::vector<tree_process> orphans;    ///< Who was alive after the command and is not tolerated.
  int status = 0;                       ///< Of the command; 128 + n for a signal.
  std::chrono::milliseconds took{0};    ///< Until the command ended.
  std::chrono::milliseconds waited{0};  ///< Then, for its processes to end by themselves.
  bool isolated = false;

  /// Sockets, processes and incidents that fail the run.
  std::size_t leaks() const noexcept;
  bool clean() const noexcept { return found.clean() && orphans.empty(); }
};

/// The whole report as people read it; empty if there is nothing to say.
std::string to_text(const run_report& run);

/// One JSON object as docs/launcher.md describes it, ending in a newline.
std::string to_json_text(const run_report& run);

/// A JUnit XML document with one test case.
std::string to_junit(const run_report& run);

/// One workflow command of GitHub Actions, or nothing if the run is clean.
std::string to_github_annotation(const run_report& run);

/// The line that CTest takes out of a test's output and CDash shows as a measurement.
std::string to_ctest_measurement(const run_report& run);

/// Writes a file such that it is there completely or not at all: a temporary file in the same
/// directory, then rename(2). Throws `std::system_error`.
void write_atomically(const std::string& path, const std::string& text);

}  // namespace tidewait::command
