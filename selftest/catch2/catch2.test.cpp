// SPDX-License-Identifier: BSL-1.0
//
// Runs tests that leave something behind, with every reporter, and checks exit code and output.

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"

namespace {

using selftest::environment_changes;
using selftest::program_run;
using selftest::run_program;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAreArray;
using names = std::vector<std::string>;

constexpr bool v3 = SELFTEST_CATCH2_VERSION[0] >= '3';
constexpr int left_behind = 97;

program_run run(const char* subject, names arguments = {},
                const environment_changes& environment = {}) {
  arguments.insert(arguments.begin(), subject);
  return run_program(arguments, environment);
}

/// The output in one line: reporters wrap at 80 columns.
std::string flat(const program_run& run) {
  return std::regex_replace(run.output, std::regex{R"(\s+)"}, " ");
}

/// Who left something behind, in the order of the output.
names accused(const program_run& run) {
  names all;
  const std::string text = flat(run);
  const std::regex headline{
      R"(tidewait: ([^:](?:(?!tidewait: ).)*?) left \d+ (?:Unix )?sockets? behind on)"};
  for (std::sregex_iterator each{text.begin(), text.end(), headline}, end; each != end; ++each) {
    all.push_back((*each)[1]);
  }
  return all;
}

/// Catch2 2 counts failures in the exit code, Catch2 3 has one for all; 4 would be "skipped".
auto failed() { return testing::AllOf(Not(0), Not(4), Not(left_behind), testing::Lt(128)); }

class EveryTest : public testing::TestWithParam<std::pair<const char*, names>> {};

TEST_P(EveryTest, FailsInTheRightPassAndOnce) {
  const auto& [test, wanted] = GetParam();
  const program_run run = ::run(SUBJECT_AUTO, {test});
  EXPECT_THAT(run.status, failed()) << run.output;
  EXPECT_EQ(accused(run), wanted) << run.output;
  EXPECT_THAT(run.output, HasSubstr("cases.cpp:"));
}

INSTANTIATE_TEST_SUITE_P(
    Catch2, EveryTest,
    testing::Values(
        std::pair{"leaves a listener", names{"leaves a listener"}},
        std::pair{"leaves a Unix socket", names{"leaves a Unix socket"}},
        std::pair{"without assertions", names{"without assertions"}},
        std::pair{"sections", names{"sections / outer / inner", "sections / last"}},
        std::pair{"generator", names{"generator / section", "generator / section (pass 2)"}},
        std::pair{
            "Scenario: story",
            names{"Scenario: story / Given: a server / When: it is asked / Then: it answers"}},
        std::pair{"template - int", names{"template - int"}}, std::pair{"method", names{"method"}},
        std::pair{"requires", names{"requires / section"}},
        std::pair{"throws", names{"throws / section"}}));

TEST(EveryTest, ThatIsTidyPasses) {
  const program_run run = ::run(SUBJECT_AUTO, {"tidy*"});
  EXPECT_EQ(run.status, 0) << run.output;
  EXPECT_THAT(run.output, Not(HasSubstr("tidewait")));
}

TEST(EveryTest, KeepsItsOwnFailure) {
  EXPECT_THAT(flat(run(SUBJECT_AUTO, {"requires"})), HasSubstr("REQUIRE( 1 == 2 )"));
  EXPECT_THAT(flat(run(SUBJECT_AUTO, {"throws"})), HasSubstr("thrown by the test"));
}

TEST(EveryTest, ThatSkipsFailsAllTheSame) {
  if (!v3) GTEST_SKIP() << "Catch2 2 has no SKIP";
  const program_run run = ::run(SUBJECT_AUTO, {"skips"});
  EXPECT_THAT(run.status, failed()) << run.output;
  EXPECT_THAT(accused(run), ElementsAre("skips"));
}

TEST(EveryTest, ThatMayFailFailsTheProgramInstead) {
  for (const char* test : {"may fail", "should fail and does"}) {
    const program_run run = ::run(SUBJECT_AUTO, {test});
    EXPECT_EQ(run.status, left_behind) << run.output;
    EXPECT_THAT(accused(run), ElementsAre(test));
    EXPECT_THAT(flat(run), HasSubstr("hence exit code 97"));
  }
  // What was not left behind must not make it fail, as it should.
  const program_run run = ::run(SUBJECT_AUTO, {"should fail and does not"});
  EXPECT_EQ(run.status, left_behind) << run.output;
  EXPECT_THAT(flat(run), HasSubstr("1 failed"));
}

TEST(EveryTest, WithAPersistentFixtureFailsTheProgramInstead) {
  const program_run run = ::run(SUBJECT_AUTO, {"persistent fixture"});
  if (run.output.find("No test") != std::string::npos) GTEST_SKIP() << "since Catch2 3.7";
  EXPECT_EQ(run.status, left_behind) << run.output;
  EXPECT_THAT(accused(run), ElementsAre("the test program"));
}

TEST(EveryTest, ThatIsTerminatedEndsAsWithoutTidewait) {
  const program_run run = ::run(SUBJECT_AUTO, {"is terminated"});
  EXPECT_EQ(run.status, 128 + SIGTERM) << run.output;
  EXPECT_THAT(run.output, HasSubstr("SIGTERM"));
  EXPECT_THAT(run.output, Not(HasSubstr("tidewait:")));
}

TEST(EveryTest, IsNotJudgedInAForkedChild) {
  const program_run run = ::run(SUBJECT_AUTO, {"forks a child that exits,may fail"});
  EXPECT_THAT(accused(run), UnorderedElementsAreArray({"forks a child that exits", "may fail"}))
      << run.output;
}

const names leaky = {"leaves a listener",
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

TEST(EveryTest, IsToldApartFromTheOthers) {
  for (const names& order : {names{}, names{"--order", "lex"}, names{"--order", "rand"}}) {
    const program_run run = ::run(SUBJECT_AUTO, order);
    EXPECT_EQ(run.status, left_behind);
    EXPECT_THAT(accused(run), UnorderedElementsAreArray(leaky)) << run.output;
  }
}

TEST(EveryTest, IsLookedAfterInItsShard) {
  if (!v3) GTEST_SKIP() << "Catch2 2 has no shards";
  names all;
  for (const char* shard : {"0", "1", "2"}) {
    const program_run run = ::run(SUBJECT_AUTO, {"--shard-count", "3", "--shard-index", shard});
    const names some = accused(run);
    all.insert(all.end(), some.begin(), some.end());
  }
  EXPECT_THAT(all, UnorderedElementsAreArray(leaky));
}

TEST(EveryTest, AfterTheOneThatAbortsIsNotRun) {
  for (const names& flags : {names{"--abort"}, names{"--abortx", "1"}}) {
    names arguments{"leaves a listener,sections", "--order", "decl"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const program_run run = ::run(SUBJECT_AUTO, arguments);
    EXPECT_THAT(run.status, failed()) << run.output;
    EXPECT_THAT(accused(run), ElementsAre("leaves a listener")) << run.output;
  }
  const program_run two =
      run(SUBJECT_AUTO, {"leaves a listener,sections", "--order", "decl", "--abortx", "2"});
  EXPECT_THAT(accused(two), ElementsAre("leaves a listener", "sections / outer / inner"));
}

TEST(EveryTest, ObeysThePolicyOfTheEnvironment) {
  const auto under = [](const char* rules) {
    return run(SUBJECT_AUTO, {"leaves a listener"}, {{"TIDEWAIT_POLICY", rules}});
  };
  EXPECT_EQ(under("listen").status, 0);
  EXPECT_EQ(under("listen+test=leaves*").status, 0);
  EXPECT_THAT(under("listen+test=tidy*").status, failed());
  const program_run warned = under("warn:listen");
  EXPECT_EQ(warned.status, 0) << warned.output;
  EXPECT_THAT(flat(warned), HasSubstr("tidewait: warning: leaves a listener left 1 socket"));
  const program_run unread = under("lisen");
  EXPECT_NE(unread.status, 0);
  EXPECT_THAT(flat(unread), HasSubstr("TIDEWAIT_POLICY: reading 'lisen'"));
}

TEST(EveryTest, IsListedAsWithoutTidewait) {
  for (const char* what : {"--list-tests", "--list-tags", "--list-reporters", "--help"}) {
    const program_run run = ::run(SUBJECT_OWN_MAIN, {what}, {{"LEAVE", "main"}});
    EXPECT_NE(run.status, left_behind) << run.output;  // Catch2 2 returns the number of lines
    EXPECT_THAT(run.output, Not(HasSubstr("tidewait:")));
  }
}

TEST(Program, FailsForWhatIsLeftAtItsEnd) {
  for (const char* what : {"main", "bound", "global", "run"}) {
    const program_run run = ::run(SUBJECT_OWN_MAIN, {"tidy"}, {{"LEAVE", what}});
    EXPECT_EQ(run.status, left_behind) << what << run.output;
    EXPECT_THAT(accused(run), ElementsAre("the test program")) << what << run.output;
    EXPECT_THAT(flat(run), HasSubstr("All tests passed"));
  }
}

TEST(Program, FailsForAWatchOutsideOfTheTests) {
  const program_run run = ::run(SUBJECT_OWN_MAIN, {"tidy"}, {{"LEAVE", "watched"}});
  EXPECT_EQ(run.status, left_behind) << run.output;
  EXPECT_THAT(accused(run), ElementsAre("this process")) << run.output;
}

TEST(Program, PassesIfAllIsClosedWhenItsObjectsAreDestroyed) {
  const program_run run = ::run(SUBJECT_OWN_MAIN, {"tidy"});
  EXPECT_EQ(run.status, 0) << run.output;
  EXPECT_THAT(run.output, Not(HasSubstr("tidewait")));
}

TEST(Program, DoesNotRepeatWhatATestWasFailedFor) {
  const program_run run = ::run(SUBJECT_OWN_MAIN, {"fixture"});
  EXPECT_THAT(run.status, failed()) << run.output;
  EXPECT_THAT(accused(run), ElementsAre("fixture"));
  EXPECT_THAT(run.output, HasSubstr("user's listener: fixture failed"));
}

TEST(Program, WithAFixtureToleratesWhatTheFixtureTolerates) {
  const program_run run = ::run(SUBJECT_OWN_MAIN, {"fixture tolerates"});
  EXPECT_EQ(run.status, 0) << run.output;
}

const names leaky_fixtures = {
    "fixture",    "fixture sections / leaky", "fixture throws", "time_wait", "with_ports", "watch",
    "watch twice"};

TEST(Fixture, FailsItsTestAndNoOther) {
  for (const char* subject : {SUBJECT_FIXTURE, SUBJECT_OWN_MAIN}) {
    const program_run run = ::run(subject, {"fixture*,with_ports*,watch*,time_wait,matcher"});
    EXPECT_THAT(run.status, failed());
    names wanted = leaky_fixtures;
    // In Catch2 2, if nothing includes tidewait first, nobody knows the sections.
    if (!v3 && subject == std::string{SUBJECT_FIXTURE}) wanted[1] = "fixture sections";
    EXPECT_THAT(accused(run), UnorderedElementsAreArray(wanted)) << run.output;
  }
}

TEST(Fixture, LooksBeforeAnExceptionIsToldButDoesNotHideIt) {
  const program_run run = ::run(SUBJECT_FIXTURE, {"fixture throws"});
  EXPECT_THAT(flat(run), HasSubstr("thrown by the test"));
  EXPECT_THAT(accused(run), ElementsAre("fixture throws"));
}

TEST(Fixture, IsToldAfterTheExceptionWhoseLineWouldOtherwiseBeLost) {
  const std::string text = flat(run(SUBJECT_OWN_MAIN, {"fixture throws"}));
  const auto thrown = text.find("thrown by the test");
  ASSERT_NE(thrown, std::string::npos) << text;
  EXPECT_LT(thrown, text.find("tidewait: fixture throws left")) << text;
}

TEST(Matcher, ShowsTheDump) {
  const program_run run = ::run(SUBJECT_FIXTURE, {"matcher fails"});
  EXPECT_THAT(run.status, failed());
  EXPECT_THAT(flat(run), testing::ContainsRegex(
                             "port [0-9]+ is free, but: tidewait: 127.0.0.1:[0-9]+ is in use state "
                             "local remote owner note LISTEN 127"));
}

TEST(Benchmark, IsLookedAfter) {
  const program_run run = ::run(
      SUBJECT_BENCHMARKS,
      {"--benchmark-samples", "2", "--benchmark-warmup-time", "1", "--benchmark-resamples", "1"});
  EXPECT_THAT(run.status, failed()) << run.output;
  EXPECT_THAT(accused(run), ElementsAre("benchmark")) << run.output;
  EXPECT_THAT(run.output, HasSubstr("nothing"));
}

TEST(Benchmark, ThatOnlyMainIsCompiledWithIsRefusedAtTheStart) {
#ifdef SUBJECT_MISMATCH
  for (const names& arguments : {names{}, names{"--list-tests"}}) {
    const program_run run = ::run(SUBJECT_MISMATCH, arguments);
    EXPECT_EQ(run.status, 1) << run.output;
    EXPECT_THAT(flat(run), HasSubstr("Errors occurred during startup!"));
    EXPECT_THAT(flat(run), HasSubstr("Define it for the target: target_compile_definitions("));
  }
#else
  GTEST_SKIP() << "Catch2 3 always has benchmarks";
#endif
}

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
  std::istringstream lines{run(SUBJECT_OWN_MAIN, {"--list-reporters"}).output};
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
    const program_run run = ::run(SUBJECT_OWN_MAIN, flags);
    EXPECT_THAT(run.status, failed()) << run.output;
    if (prints_messages(GetParam())) {
      EXPECT_THAT(accused(run), ElementsAre("leaves a listener")) << run.output;
    }
    EXPECT_TRUE(std::regex_search(flat(run), std::regex{counted})) << run.output;
  }
}

TEST_P(Reporter, ShowsEveryKindOfTestAndStaysWellFormed) {
  if (const names all = listed_reporters();
      std::find(all.begin(), all.end(), GetParam()) == all.end()) {
    GTEST_SKIP() << "not in Catch2 " SELFTEST_CATCH2_VERSION;
  }
  const std::string file =
      testing::TempDir() + "tidewait_catch2_" + GetParam() + std::to_string(::getpid());
  const program_run run =
      ::run(SUBJECT_OWN_MAIN, {"[leaks]", "--reporter", GetParam(), "--out", file});
  EXPECT_EQ(run.status, left_behind) << run.output;
  if (const char* parser = reporters.at(GetParam()).parser; *parser != '\0') {
    const program_run parsed =
        run_program({"sh", "-c", std::string{"python3 -c '"} + parser + "' < " + file});
    EXPECT_EQ(parsed.status, 0) << parsed.output;
  }
  program_run all;
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf() << '\n' << run.output;
  all.output = text.str();
  ::unlink(file.c_str());
  if (!prints_messages(GetParam())) return;
  names wanted = leaky;
  wanted.insert(wanted.end(), leaky_fixtures.begin(), leaky_fixtures.end());
  EXPECT_THAT(accused(all), UnorderedElementsAreArray(wanted)) << all.output;
}

names reporter_names() {
  names all;
  for (const auto& each : reporters) all.push_back(each.first);
  return all;
}
INSTANTIATE_TEST_SUITE_P(Catch2, Reporter, testing::ValuesIn(reporter_names()),
                         [](const auto& which) { return which.param; });

}  // namespace
