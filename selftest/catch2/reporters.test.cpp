// SPDX-License-Identifier: BSL-1.0
//
// The same with every reporter.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"
#include "run_subject.hpp"

namespace {

using selftest::run_together;
using subject::accused;
using subject::failed;
using subject::flat;
using subject::leaky;
using subject::leaky_fixtures;
using subject::left_behind;
using subject::names;
using subject::run_result;
using subject::v3;
using testing::ElementsAre;
using testing::UnorderedElementsAreArray;

struct reporter_marks {
  const char* counted;  ///< How it shows that one test failed, as a regular expression.
  const char* parser;   ///< Python that reads a whole file of it.
};

const std::map<std::string, reporter_marks> reporters = {
    {"automake", {":test-result: FAIL leaves a listener", ""}},
    {"compact", {"Failed 1 test case, failed 1 assertion|test cases: 1 \\| 1 failed", ""}},
    {"console", {"test cases: 1 \\| 1 failed", ""}},
    {"json", {"\"test-cases\": \\{[^}]*\"failed\": 1", "import json,sys;json.load(sys.stdin)"}},
    {"junit", {"failures=\"1\"", "import xml.dom.minidom as x,sys;x.parse(sys.stdin)"}},
    {"sonarqube", {"<failure", "import xml.dom.minidom as x,sys;x.parse(sys.stdin)"}},
    {"tap", {"not ok [0-9]+", ""}},
    {"teamcity", {"testFailed", ""}},
    {"xml",
     {"<OverallResultsCases successes=\"0\" failures=\"1\"",
      "import xml.dom.minidom as x,sys;x.parse(sys.stdin)"}},
};

/// In lower case; Catch2 3 spells some otherwise, but takes either.
names listed_reporters() {
  names all;
  std::istringstream lines{subject::run(SUBJECT_OWN_MAIN, {"--list-reporters"}).out};
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_search(line, match, std::regex{R"(^  (\w+):? )"})) continue;
    std::string name = match[1];
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    all.push_back(name);
  }
  return all;
}

TEST(Reporters, AreAllKnownHere) {
  const names all = listed_reporters();
  EXPECT_GE(all.size(), 8U);
  for (const std::string& each : all) EXPECT_EQ(reporters.count(each), 1U) << each;
}

/// These two print none, whatever the assertion.
bool prints_messages(const std::string& reporter) {
  return reporter != "automake" && reporter != "json";
}

/// Without addr2line: to look lines up would cost most of the time of each run, and no test here
/// asks for them.
run_result run_quickly(const names& arguments) {
  return subject::run(SUBJECT_OWN_MAIN, arguments, {"PATH="});
}

class Reporter : public testing::TestWithParam<std::string> {};

TEST_P(Reporter, ShowsTheFailureAndCountsIt) {
  if (const names all = listed_reporters();
      std::find(all.begin(), all.end(), GetParam()) == all.end()) {
    GTEST_SKIP() << "not in Catch2 " SELFTEST_CATCH2_VERSION;
  }
  const auto& [counted, parser] = reporters.at(GetParam());
  std::vector<names> matrix = {{},
                               {"--abort"},
                               {"--abortx", "1"},
                               {"--success"},
                               {"--durations", "yes"},
                               {"--nothrow"},
                               {"--warn", "NoAssertions"},
                               {"--order", "rand", "--rng-seed", "1"},
                               {"--use-colour", "no"}};
  if (v3) {
    matrix.back() = {"--colour-mode", "none"};
    matrix.push_back({"--shard-count", "1"});
    matrix.push_back({"--allow-running-no-tests"});
  }
  for (names flags : matrix) {
    SCOPED_TRACE(testing::PrintToString(flags));
    flags.insert(flags.begin(), {"leaves a listener", "--reporter", GetParam()});
    const run_result run = run_quickly(flags);
    EXPECT_THAT(run.status, failed()) << run.out;
    if (prints_messages(GetParam())) {
      EXPECT_THAT(accused(run), ElementsAre("leaves a listener")) << run.out;
    }
    EXPECT_TRUE(std::regex_search(flat(run), std::regex{counted})) << run.out;
  }
}

TEST_P(Reporter, ShowsEveryKindOfTestAndStaysWellFormed) {
  if (const names all = listed_reporters();
      std::find(all.begin(), all.end(), GetParam()) == all.end()) {
    GTEST_SKIP() << "not in Catch2 " SELFTEST_CATCH2_VERSION;
  }
  const std::string file =
      testing::TempDir() + "tidewait_catch2_" + GetParam() + std::to_string(::getpid());
  const run_result run = run_quickly({"[leaks]", "--reporter", GetParam(), "--out", file});
  EXPECT_EQ(run.status, left_behind) << run.out;
  if (const char* parser = reporters.at(GetParam()).parser; *parser != '\0') {
    const run_result parsed =
        run_together({"sh", "-c", std::string{"python3 -c '"} + parser + "' < " + file});
    EXPECT_EQ(parsed.status, 0) << parsed.out;
  }
  run_result all;
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf() << '\n' << run.out;
  all.out = text.str();
  ::unlink(file.c_str());
  if (!prints_messages(GetParam())) return;
  names wanted = leaky;
  wanted.insert(wanted.end(), leaky_fixtures.begin(), leaky_fixtures.end());
  EXPECT_THAT(accused(all), UnorderedElementsAreArray(wanted)) << all.out;
}

names reporter_names() {
  names all;
  for (const auto& each : reporters) all.push_back(each.first);
  return all;
}
INSTANTIATE_TEST_SUITE_P(Catch2, Reporter, testing::ValuesIn(reporter_names()),
                         [](const auto& which) { return which.param; });

}  // namespace
