// SPDX-License-Identifier: BSL-1.0
//
// Runs tests that leave something behind, and checks exit code and output.
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"
#include "run_subject.hpp"

namespace {

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
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAreArray;

class EveryTest : public testing::TestWithParam<std::pair<const char*, names>> {};

TEST_P(EveryTest, FailsInTheRightPassAndOnce) {
  const auto& [test, wanted] = GetParam();
  const run_result run = subject::run(SUBJECT_AUTO, {test});
  EXPECT_THAT(run.status, failed()) << run.out;
  EXPECT_EQ(accused(run), wanted) << run.out;
  EXPECT_THAT(run.out, HasSubstr("cases.cpp:"));
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
  const run_result run = subject::run(SUBJECT_AUTO, {"tidy*"});
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, Not(HasSubstr("tidewait")));
}

TEST(EveryTest, KeepsItsOwnFailure) {
  EXPECT_THAT(flat(subject::run(SUBJECT_AUTO, {"requires"})), HasSubstr("REQUIRE( 1 == 2 )"));
  EXPECT_THAT(flat(subject::run(SUBJECT_AUTO, {"throws"})), HasSubstr("thrown by the test"));
}

TEST(EveryTest, ThatSkipsFailsAllTheSame) {
  if (!v3) GTEST_SKIP() << "Catch2 2 has no SKIP";
  const run_result run = subject::run(SUBJECT_AUTO, {"skips"});
  EXPECT_THAT(run.status, failed()) << run.out;
  EXPECT_THAT(accused(run), ElementsAre("skips"));
}

TEST(EveryTest, ThatMayFailFailsTheProgramInstead) {
  for (const char* test : {"may fail", "should fail and does"}) {
    const run_result run = subject::run(SUBJECT_AUTO, {test});
    EXPECT_EQ(run.status, left_behind) << run.out;
    EXPECT_THAT(accused(run), ElementsAre(test));
    EXPECT_THAT(flat(run), HasSubstr("tidewait: exit code 97: "));
  }
  // What was not left behind must not make it fail, as it should.
  const run_result run = subject::run(SUBJECT_AUTO, {"should fail and does not"});
  EXPECT_EQ(run.status, left_behind) << run.out;
  EXPECT_THAT(flat(run), HasSubstr("1 failed"));
}

TEST(EveryTest, WithAPersistentFixtureFailsTheProgramInstead) {
  const run_result run = subject::run(SUBJECT_AUTO, {"persistent fixture"});
  if (run.out.find("No test") != std::string::npos) GTEST_SKIP() << "since Catch2 3.7";
  EXPECT_EQ(run.status, left_behind) << run.out;
  EXPECT_THAT(accused(run), ElementsAre("the test program"));
}

TEST(EveryTest, ThatIsTerminatedEndsAsWithoutTidewait) {
  const run_result run = subject::run(SUBJECT_AUTO, {"is terminated"});
  EXPECT_EQ(run.status, 128 + SIGTERM) << run.out;
  EXPECT_THAT(run.out, HasSubstr("SIGTERM"));
  EXPECT_THAT(run.out, Not(HasSubstr("tidewait:")));
}

TEST(EveryTest, IsNotJudgedInAForkedChild) {
  const run_result run = subject::run(SUBJECT_AUTO, {"forks a child that exits,may fail"});
  EXPECT_THAT(accused(run), UnorderedElementsAreArray({"forks a child that exits", "may fail"}))
      << run.out;
}

TEST(EveryTest, IsToldApartFromTheOthers) {
  for (const names& order : {names{}, names{"--order", "lex"}, names{"--order", "rand"}}) {
    const run_result run = subject::run(SUBJECT_AUTO, order);
    EXPECT_EQ(run.status, left_behind);
    EXPECT_THAT(accused(run), UnorderedElementsAreArray(leaky)) << run.out;
  }
}

TEST(EveryTest, IsLookedAfterInItsShard) {
  if (!v3) GTEST_SKIP() << "Catch2 2 has no shards";
  names all;
  for (const char* shard : {"0", "1", "2"}) {
    const run_result run =
        subject::run(SUBJECT_AUTO, {"--shard-count", "3", "--shard-index", shard});
    const names some = accused(run);
    all.insert(all.end(), some.begin(), some.end());
  }
  EXPECT_THAT(all, UnorderedElementsAreArray(leaky));
}

TEST(EveryTest, AfterTheOneThatAbortsIsNotRun) {
  for (const names& flags : {names{"--abort"}, names{"--abortx", "1"}}) {
    names arguments{"leaves a listener,sections", "--order", "decl"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const run_result run = subject::run(SUBJECT_AUTO, arguments);
    EXPECT_THAT(run.status, failed()) << run.out;
    EXPECT_THAT(accused(run), ElementsAre("leaves a listener")) << run.out;
  }
  const run_result two = subject::run(
      SUBJECT_AUTO, {"leaves a listener,sections", "--order", "decl", "--abortx", "2"});
  EXPECT_THAT(accused(two), ElementsAre("leaves a listener", "sections / outer / inner"));
}

TEST(EveryTest, ObeysThePolicyOfTheEnvironment) {
  const auto under = [](const char* rules) {
    return subject::run(SUBJECT_AUTO, {"leaves a listener"},
                        {"TIDEWAIT_POLICY=" + std::string{rules}});
  };
  EXPECT_EQ(under("listen").status, 0);
  EXPECT_EQ(under("listen+test=leaves*").status, 0);
  EXPECT_THAT(under("listen+test=tidy*").status, failed());
  const run_result warned = under("warn:listen");
  EXPECT_EQ(warned.status, 0) << warned.out;
  EXPECT_THAT(flat(warned), HasSubstr("tidewait: warning: leaves a listener left 1 socket"));
  const run_result unread = under("lisen");
  EXPECT_NE(unread.status, 0);
  EXPECT_THAT(flat(unread), HasSubstr("TIDEWAIT_POLICY: reading 'lisen'"));
}

TEST(EveryTest, IsListedAsWithoutTidewait) {
  for (const char* what : {"--list-tests", "--list-tags", "--list-reporters", "--help"}) {
    const run_result run = subject::run(SUBJECT_OWN_MAIN, {what}, {"LEAVE=main"});
    EXPECT_NE(run.status, left_behind) << run.out;  // Catch2 2 returns the number of lines
    EXPECT_THAT(run.out, Not(HasSubstr("tidewait:")));
  }
}

TEST(Program, FailsForWhatIsLeftAtItsEnd) {
  for (const char* what : {"main", "bound", "global", "run"}) {
    const run_result run = subject::run(SUBJECT_OWN_MAIN, {"tidy"}, {"LEAVE=" + std::string{what}});
    EXPECT_EQ(run.status, left_behind) << what << run.out;
    EXPECT_THAT(accused(run), ElementsAre("the test program")) << what << run.out;
    EXPECT_THAT(flat(run), HasSubstr("All tests passed"));
  }
}

TEST(Program, FailsForAWatchOutsideOfTheTests) {
  const run_result run = subject::run(SUBJECT_OWN_MAIN, {"tidy"}, {"LEAVE=watched"});
  EXPECT_EQ(run.status, left_behind) << run.out;
  EXPECT_THAT(accused(run), ElementsAre("this process")) << run.out;
}

TEST(Program, PassesIfAllIsClosedWhenItsObjectsAreDestroyed) {
  const run_result run = subject::run(SUBJECT_OWN_MAIN, {"tidy"});
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, Not(HasSubstr("tidewait")));
}

TEST(Program, WritesItsLastLineOfTheJournalFromWhatIsStillThere) {
  std::string path = testing::TempDir() + "tidewait-journal-XXXXXX";
  ::close(::mkstemp(path.data()));
  subject::run(SUBJECT_AUTO, {"without assertions"}, {"TIDEWAIT_JOURNAL=" + path});
  std::ifstream journal{path};
  std::set<std::string> boots;
  std::string last;
  for (std::string line; std::getline(journal, line); last = line) {
    const auto boot = line.find("\"boot\":\"");
    if (boot != std::string::npos) boots.insert(line.substr(boot, 45));
  }
  ::unlink(path.c_str());
  EXPECT_THAT(last, testing::HasSubstr(R"("event":"test_end","test":"the test program")"));
  EXPECT_EQ(boots.size(), 1U) << testing::PrintToString(boots);
}

TEST(Program, DoesNotRepeatWhatATestWasFailedFor) {
  const run_result run = subject::run(SUBJECT_OWN_MAIN, {"fixture"});
  EXPECT_THAT(run.status, failed()) << run.out;
  EXPECT_THAT(accused(run), ElementsAre("fixture"));
  EXPECT_THAT(run.out, HasSubstr("user's listener: fixture failed"));
}

TEST(Program, WithAFixtureToleratesWhatTheFixtureTolerates) {
  const run_result run = subject::run(SUBJECT_OWN_MAIN, {"fixture tolerates"});
  EXPECT_EQ(run.status, 0) << run.out;
}

TEST(Fixture, FailsItsTestAndNoOther) {
  for (const char* subject : {SUBJECT_FIXTURE, SUBJECT_OWN_MAIN}) {
    const run_result run = subject::run(subject, {"fixture*,with_ports*,watch*,time_wait,is_free"});
    EXPECT_THAT(run.status, failed());
    names wanted = leaky_fixtures;
    // In Catch2 2, if nothing includes tidewait first, nobody knows the sections.
    if (!v3 && subject == std::string{SUBJECT_FIXTURE}) wanted[1] = "fixture sections";
    EXPECT_THAT(accused(run), UnorderedElementsAreArray(wanted)) << run.out;
  }
}

TEST(Fixture, LooksBeforeAnExceptionIsToldButDoesNotHideIt) {
  const run_result run = subject::run(SUBJECT_FIXTURE, {"fixture throws"});
  EXPECT_THAT(flat(run), HasSubstr("thrown by the test"));
  EXPECT_THAT(accused(run), ElementsAre("fixture throws"));
}

TEST(Fixture, IsToldAfterTheExceptionWhoseLineWouldOtherwiseBeLost) {
  const std::string text = flat(subject::run(SUBJECT_OWN_MAIN, {"fixture throws"}));
  const auto thrown = text.find("thrown by the test");
  ASSERT_NE(thrown, std::string::npos) << text;
  EXPECT_LT(thrown, text.find("tidewait: fixture throws left")) << text;
}

TEST(IsFree, ShowsTheDump) {
  const run_result run = subject::run(SUBJECT_FIXTURE, {"is_free fails"});
  EXPECT_THAT(run.status, failed());
  EXPECT_THAT(flat(run),
              testing::ContainsRegex(
                  "is_free\\(port\\).*with expansion: tidewait: 127.0.0.1:[0-9]+ is in use state "
                  "local remote owner note LISTEN 127"));
}

TEST(Benchmark, IsLookedAfter) {
  const run_result run = subject::run(
      SUBJECT_BENCHMARKS,
      {"--benchmark-samples", "2", "--benchmark-warmup-time", "1", "--benchmark-resamples", "1"});
  EXPECT_THAT(run.status, failed()) << run.out;
  EXPECT_THAT(accused(run), ElementsAre("benchmark")) << run.out;
  EXPECT_THAT(run.out, HasSubstr("nothing"));
}

TEST(Benchmark, ThatOnlyMainIsCompiledWithIsRefusedAtTheStart) {
#ifdef SUBJECT_MISMATCH
  for (const names& arguments : {names{}, names{"--list-tests"}}) {
    const run_result run = subject::run(SUBJECT_MISMATCH, arguments);
    EXPECT_EQ(run.status, 1) << run.out;
    EXPECT_THAT(flat(run), HasSubstr("Errors occurred during startup!"));
    EXPECT_THAT(flat(run), HasSubstr("Define it for the target: target_compile_definitions("));
  }
#else
  GTEST_SKIP() << "Catch2 3 always has benchmarks";
#endif
}

}  // namespace
