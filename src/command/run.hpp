// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "run_tally.hpp"

namespace tidewait::command {

/// How to run a command.
struct run_options {
  std::vector<std::string> misplaced;
  std::string isolate = "no";
  std::size_t ports = 0;
  std::vector<std::string> tolerate;
  std::string max_wait;
  std::string journal;
  std::string json;
  std::string junit;
  std::string name;
  std::vector<int> success_codes;
  bool keep_orphans = false;
  std::string witness = "auto";
  bool no_witness = false;
  std::string explain = "failure";
  bool ctest_measurement = false;
  bool abort = false;
  bool discovery = false;
  bool strict = false;
  /// Gets what the run came to, if it begins here.
  std::function<void(const detail::tally&, const run_verdict&)> at_end;
};

/// Runs a command, says what it left, and ends that. Returns what to end with.
int run_command(const run_options& options, std::vector<std::string> command);

/// Adds `tidewait run`, which sets `status` to what the command ends with. `command`: what stood
/// behind "--".
void add_run(CLI::App& app, int& status, const std::vector<std::string>& command);

}  // namespace tidewait::command
