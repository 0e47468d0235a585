// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

/// Compares what programs print with files.
namespace selftest {

/// The text with what differs from run to run replaced: leased ports and ephemeral ports (P), pids
/// (N), descriptors (F), times (T), directories, and the padding of columns that depends on their
/// width.
inline std::string normalised(std::string text) {
  const std::pair<const char*, const char*> rules[] = {
      {R"((127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::\]|\[::1\]):\d{4,5})", "$1:P"},
      {R"(\n {6,})", " "},
      // What other tests do at the same time.
      {R"(  note: a TIME_WAIT appeared[^\n]*\n)", ""},
      {R"(  waited: [^\n]* for sockets that close by themselves\n)", ""},
      // Where the tests themselves are in a pid namespace, as in a container.
      {R"(, or its process is in another pid namespace)", ""},
      {R"( of this pid namespace visible)", " visible"},
      {R"(owners of (all processes visible|other users hidden))", "owners as far as visible"},
      {R"(pid \d+)", "pid N"},
      {R"(\bfd \d+)", "fd F"},
      {R"(\bthread \d+)", "thread N"},
      {R"(\d+(\.\d+)? (ms|s)\b)", "T"},
      {R"(tolerate\(\d+\))", "tolerate(P)"},
      {R"((\.\.)?(/[^\s:/]+)+/([^\s:/]+):\d+)", "$3:L"},
      {R"((\w+\.[ch]pp):\d+)", "$1:L"},
      {R"( {2,}(?=\S))", "  "},
      {R"( +\n)", "\n"},
      {R"(\((T) total\))", "(T total)"},
  };
  for (const auto& [pattern, replacement] : rules) {
    text = std::regex_replace(text, std::regex{pattern}, replacement);
  }
  return text;
}

/// Compares with selftest/golden/<name>.txt; SELFTEST_UPDATE_GOLDEN=1 writes the file instead.
inline void expect_golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string{SELFTEST_GOLDEN_DIR} + '/' + name + ".txt";
  if (std::getenv("SELFTEST_UPDATE_GOLDEN") != nullptr) {
    std::ofstream{path} << actual;
    return;
  }
  std::ostringstream wanted;
  wanted << std::ifstream{path}.rdbuf();
  EXPECT_EQ(actual, wanted.str()) << "golden file: " << name << ".txt";
}

}  // namespace selftest
