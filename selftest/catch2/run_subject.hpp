// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <regex>
#include <string>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"

/// Runs programs of Catch2 tests and reads what they print.
namespace subject {

using selftest::run_result;
using selftest::run_together;
using testing::Not;
using names = std::vector<std::string>;

inline constexpr bool v3 = SELFTEST_CATCH2_VERSION[0] >= '3';
inline constexpr int left_behind = 97;

inline run_result run(const char* subject, names arguments = {}, const names& environment = {}) {
  arguments.insert(arguments.begin(), subject);
  return run_together(arguments, environment);
}

/// The output in one line: reporters wrap at 80 columns.
inline std::string flat(const run_result& run) {
  return std::regex_replace(run.out, std::regex{R"(\s+)"}, " ");
}

/// Who left something behind, in the order of the output.
inline names accused(const run_result& run) {
  names all;
  const std::string text = flat(run);
  const std::regex headline{
      R"(tidewait: (?!warning: )([^:](?:(?!tidewait: ).)*?) left \d+ (?:Unix )?sockets? behind on)"};
  for (std::sregex_iterator each{text.begin(), text.end(), headline}, end; each != end; ++each) {
    all.push_back((*each)[1]);
  }
  return all;
}

/// Catch2 2 counts failures in the exit code, Catch2 3 has one for all; 4 would be "skipped".
inline auto failed() { return testing::AllOf(Not(0), Not(4), Not(left_behind), testing::Lt(128)); }

inline const names leaky = {
    "leaves a listener",
    "leaves a Unix socket",
    "without assertions",
    "sections / outer / inner",
    "sections / last",
    "generator / section",
    "generator / section (pass 2)",
    "Scenario: story / Given: a server / When: it is asked / Then: it answers",
    "template - int",
    "method",
    "requires / section",
    "throws / section",
    "may fail",
    "should fail and does",
    "should fail and does not"};

inline const names leaky_fixtures = {
    "fixture",    "fixture sections / leaky", "fixture throws", "time_wait", "with_ports", "watch",
    "watch twice"};

}  // namespace subject
