// SPDX-License-Identifier: BSL-1.0
//
// Runs tests that leave something behind, one by one, and checks exit code and output.

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/golden.hpp"
#include "../support/journal_file.hpp"
#include "../support/run_program.hpp"

namespace {

using selftest::normalised;
using selftest::run_result;
using selftest::run_together;

/// What GoogleTest prints of the tests themselves, without its banners.
std::string body(const std::string& output) {
  std::istringstream lines{output};
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("[ RUN", 0) == 0) inside = true;
    if (line.rfind("[==========]", 0) == 0) inside = false;
    if (inside && line.rfind("[-----", 0) != 0 && !line.empty()) text += line + '\n';
  }
  return text;
}

struct subject_case {
  const char* filter;
  int status;
  std::vector<std::string> arguments = {};
};

void PrintTo(const subject_case& each, std::ostream* out) { *out << each.filter; }

class FixtureSubject : public testing::TestWithParam<subject_case> {
 protected:
  static run_result run(const subject_case& each) {
    std::vector<std::string> command{SELFTEST_GTEST_FIXTURE_SUBJECT,
                                     std::string{"--gtest_filter="} + each.filter,
                                     "--gtest_color=no"};
    command.insert(command.end(), each.arguments.begin(), each.arguments.end());
    return run_together(command);
  }
  static std::string golden_name(const subject_case& each) {
    std::string name = each.filter;
    for (char& c : name) {
      if (c == '/' || c == '.' || c == '*') c = '_';
    }
    for (const std::string& argument : each.arguments)
      name += '_' + argument.substr(8, argument.find('=') - 8);
    return "gtest_" + name;
  }
};

TEST_P(FixtureSubject, EndsAndPrintsAsItShould) {
  const run_result run = FixtureSubject::run(GetParam());
  EXPECT_EQ(run.status, GetParam().status) << run.out;
#ifndef GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST  // new in GoogleTest 1.11
  if (std::string{GetParam().filter} == "Subject.SkipsAndLeavesAListener")
    GTEST_SKIP() << "GoogleTest 1.10 does not print why a test is skipped";
#endif
  selftest::expect_golden(golden_name(GetParam()), normalised(body(run.out)));
}

INSTANTIATE_TEST_SUITE_P(
    One, FixtureSubject,
    testing::Values(
        subject_case{"Subject.LeavesNothing", 0}, subject_case{"Subject.LeavesAListener", 1},
        subject_case{"Subject.LeavesTimeWait", 1},
        subject_case{"Subject.LeavesTimeWaitOfAListenerWithoutReuse", 1},
        subject_case{"Subject.LeavesABoundSocket", 1}, subject_case{"Subject.LeavesAUdpSocket", 1},
        subject_case{"Subject.LeavesAConnection", 1},
        subject_case{"Subject.LeavesManyTimeWaits", 1},
        subject_case{"Subject.LeavesAListenerThatWasClosedUnderAccept", 1},
        subject_case{"Subject.FailsAndLeavesAListener", 1},
        subject_case{"Subject.ThrowsAndLeavesAListener", 1},
        subject_case{"Subject.SkipsAndLeavesAListener", 1},
        subject_case{"Subject.DISABLED_LeavesAListener", 0},
        subject_case{"Subject.LooksInTheMiddle", 1},
        subject_case{"Subject.IsLeftByAForkedChild", 1}, subject_case{"LeavesInSetUp.AListener", 1},
        subject_case{"LeavesInTearDown.AListener", 1},
        subject_case{"HasAServerAsAMember.WhichOutlivesTheLease", 0},
        subject_case{"WithPorts.ClosesInTheExistingDestructor", 0},
        subject_case{"WithPorts.LeavesAListener", 1},
        subject_case{"NumberWatched.HandsArgumentsOn", 0},
        subject_case{"NumberTolerated.TakesAPolicyBeforeThem", 0},
        subject_case{"Watch.LeavesAListener", 1},
        subject_case{"Watch.ClosesBeforeItIsDestroyed", 0},
        subject_case{"Watch.ReportsAlsoWhenAnAssertionEndsTheTest", 1},
        subject_case{"Tolerant.LeavesTimeWait", 0}, subject_case{"Tolerant.LeavesAListener", 1},
        subject_case{"Typed/0.LeavesAListener", 1},
        subject_case{"Each/Parameterised.LeavesAListenerIfTrue/*", 1}));

INSTANTIATE_TEST_SUITE_P(
    WithFlags, FixtureSubject,
    testing::Values(
        subject_case{"Subject.LeavesAListener", 1, {"--gtest_repeat=2"}},
        subject_case{"Subject.LeavesAListener", 1, {"--gtest_throw_on_failure"}},
        subject_case{"Subject.ThrowsAndLeavesAListener", 134, {"--gtest_catch_exceptions=0"}},
        subject_case{"Subject.DISABLED_LeavesAListener", 1, {"--gtest_also_run_disabled_tests"}},
        subject_case{"Death.TestsAreNotJudgedInTheChild", 0, {"--gtest_death_test_style=fast"}},
        subject_case{
            "Death.TestsAreNotJudgedInTheChild", 0, {"--gtest_death_test_style=threadsafe"}}));

TEST(FixtureSubjects, AreNotJudgedInAForkedChild) {
  const run_result run =
      run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_filter=Subject.Forks*"});
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_EQ(run.out.find("tidewait"), std::string::npos) << run.out;
}

TEST(FixtureSubjects, AllTogetherEachAccuseOnlyThemselves) {
  const run_result run =
      run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_shuffle", "--gtest_color=no",
                    "--gtest_filter=-Subject.Forks*:Python.*"});
  EXPECT_EQ(run.status, 1);
  std::istringstream lines{run.out};
  std::string current;
  int told = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("[ RUN      ] ", 0) == 0) current = line.substr(13);
    const auto at = line.find(" left ");
    if (line.rfind("tidewait: ", 0) != 0 || at == std::string::npos) continue;
    if (line.rfind("tidewait: looked after ", 0) == 0) continue;
    EXPECT_EQ(line.substr(10, at - 10), current);
    ++told;
  }
  EXPECT_EQ(told, 20) << run.out;
}

TEST(FixtureSubjects, AreListedAtTheEndIfTheyWereTolerated) {
  const auto end_of = [](const std::string& policy) {
    const run_result run = run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_repeat=2",
                                         "--gtest_filter=Subject.LeavesAListener"},
                                        {"TIDEWAIT_POLICY=" + std::string{policy}});
    EXPECT_EQ(run.status, 0) << run.out;
    const auto begin = std::min(run.out.size(), run.out.find("tidewait: what the"));
    return run.out.substr(begin, run.out.find("tidewait: looked after") - begin);
  };
  EXPECT_THAT(end_of("audit, warn:time_wait, test=*Listener+listen"),
              testing::MatchesRegex("tidewait: what the policies of this program let pass\n"
                                    "  warn:time_wait: nothing\n"
                                    "  listen\\+test=\\*Listener: 127.0.0.1:[0-9]+ in "
                                    "Subject.LeavesAListener, 127.0.0.1:[0-9]+ in [^,\n]+\n"));
  EXPECT_EQ(end_of("listen"), "") << "nobody asked for the list";
}

TEST(FixtureSubjects, AreSeenByTheXmlReport) {
  const std::string file = testing::TempDir() + "tidewait_" + std::to_string(::getpid()) + ".xml";
  run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_filter=Subject.Leaves*Listener",
                "--gtest_output=xml:" + file});
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  ::unlink(file.c_str());
  EXPECT_NE(text.str().find("testcase name=\"LeavesAListener\""), std::string::npos);
  EXPECT_NE(text.str().find("tidewait: Subject.LeavesAListener left 1 socket behind"),
            std::string::npos);
}

class ForeignServer : public testing::Test {
 protected:
  void SetUp() override {
    if (run_together({"python3", "-c", "import http.server"}).status != 0) {
      GTEST_SKIP() << "python3 is not installed";
    }
  }
};

TEST_F(ForeignServer, ThatIsStoppedIsClean) {
  const run_result run =
      run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_filter=Python.IsStopped"});
  EXPECT_EQ(run.status, 0) << run.out;
}

TEST_F(ForeignServer, ThatIsLeftRunningIsNamedWithPidAndCommandLine) {
  const run_result run =
      run_together({SELFTEST_GTEST_FIXTURE_SUBJECT, "--gtest_filter=Python.IsLeftRunning"});
  EXPECT_EQ(run.status, 1) << run.out;
  const std::string text = normalised(run.out);
  EXPECT_NE(text.find("tidewait: Python.IsLeftRunning left 1 socket behind on 127.0.0.1:P"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("why: child pid N (python3"), std::string::npos) << text;
  EXPECT_NE(text.find("-m http.server --bind 127.0.0.1"), std::string::npos) << text;
}

class AutoSubject : public testing::Test {
 protected:
  /// Runs the program with each of the named leaks on a port of its own.
  run_result run(const std::vector<const char*>& leaks, selftest::words environment = {},
                 std::vector<std::string> arguments = {}) {
    for (const char* leak : leaks) {
      ports_.push_back(tidewait::lease_port());
      environment.push_back(std::string{leak} + '=' + std::to_string(ports_.back().number()));
    }
    arguments.insert(arguments.begin(), {SELFTEST_GTEST_AUTO_SUBJECT, "--gtest_color=no"});
    return run_together(arguments, environment);
  }
  static bool has(const run_result& run, const std::string& text) {
    return run.out.find(text) != std::string::npos;
  }
  std::vector<tidewait::port_lease> ports_;
};

TEST_F(AutoSubject, PassesIfNothingIsLeft) {
  const run_result run = this->run({});
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_FALSE(has(run, "tidewait")) << run.out;
}

TEST_F(AutoSubject, FailsTheTestThatLeavesAListenerAndNoOther) {
  const run_result run = this->run({"LEAK_IN_FIRST"});
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "tidewait: Auto.First left 1 socket behind")) << run.out;
  EXPECT_TRUE(has(run, "[  FAILED  ] Auto.First (")) << run.out;
  EXPECT_TRUE(has(run, "[       OK ] Auto.Second (")) << run.out;
  EXPECT_TRUE(has(run, " 1 FAILED TEST\n")) << run.out;
  EXPECT_TRUE(has(run, "user's listener: First failed")) << run.out;
}

TEST_F(AutoSubject, FailsTheProgramForWhatASuiteLeaves) {
  const run_result run = this->run({"LEAK_IN_SUITE"});
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "tidewait: suite Auto left 1 socket behind")) << run.out;
  EXPECT_TRUE(has(run, "[       OK ] Auto.First (")) << run.out;
}

TEST_F(AutoSubject, FailsTheProgramForWhatAnEnvironmentLeaves) {
  const run_result run = this->run({"LEAK_IN_ENVIRONMENT"});
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "tidewait: the test program left 1 socket behind")) << run.out;
}

TEST_F(AutoSubject, ReportsEachLeakOnceAndAppendsToTheTestsOwnFailure) {
  const run_result run = this->run(
      {"LEAK_IN_FIRST", "LEAK_IN_SUITE", "LEAK_IN_ENVIRONMENT", "LEAK_IN_THIRD"}, {"FAIL_THIRD=1"});
  EXPECT_EQ(run.status, 1) << run.out;
  for (const auto& port : ports_) {
    const std::string line = "behind on 127.0.0.1:" + std::to_string(port.number());
    const auto first = run.out.find(line);
    ASSERT_NE(first, std::string::npos) << line << run.out;
    EXPECT_EQ(run.out.find(line, first + 1), std::string::npos) << run.out;
  }
  EXPECT_LT(run.out.find("the test's own failure"), run.out.find("Auto.Third left 1 socket"));
}

TEST_F(AutoSubject, PutsSuiteAndProgramFindingsIntoTheXmlReport) {
  const std::string file =
      testing::TempDir() + "tidewait_auto_" + std::to_string(::getpid()) + ".xml";
  run({"LEAK_IN_SUITE", "LEAK_IN_ENVIRONMENT"}, {}, {"--gtest_output=xml:" + file});
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  ::unlink(file.c_str());
  EXPECT_NE(text.str().find("suite Auto left 1 socket behind"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("the test program left 1 socket behind"), std::string::npos)
      << text.str();
}

TEST_F(AutoSubject, ObeysThePolicyOfTheEnvironment) {
  EXPECT_EQ(run({"LEAK_IN_FIRST"}, {"TIDEWAIT_POLICY=listen"}).status, 0);
  EXPECT_EQ(run({"LEAK_IN_FIRST"}, {"TIDEWAIT_POLICY=listen+test=Auto.Second"}).status, 1);
  const run_result warned = run({"LEAK_IN_FIRST"}, {"TIDEWAIT_POLICY=warn:listen"});
  EXPECT_EQ(warned.status, 0) << warned.out;
  EXPECT_TRUE(has(warned, "tidewait: warning: Auto.First left 1 socket behind")) << warned.out;
}

TEST_F(AutoSubject, DoesNotPassUnderAPolicyThatCannotBeRead) {
  const run_result run = this->run({}, {"TIDEWAIT_POLICY=lisen"});
  EXPECT_EQ(run.status, 1) << run.out;
  for (const char* test : {"Auto.First", "Auto.Second", "Auto.Third"}) {
    EXPECT_TRUE(has(run, "tidewait: " + std::string{test} + ": TIDEWAIT_POLICY: reading 'lisen'"))
        << run.out;
  }
  EXPECT_EQ(this->run({}, {"TIDEWAIT_POLICY=blind=skip,lisen"}).status, 1);
}

TEST_F(AutoSubject, NamesTheEarlierTestOfTheRunThatLeftASocket) {
  const journal_file journal;
  const auto port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  run_together({SELFTEST_GTEST_AUTO_SUBJECT, "--gtest_filter=Auto.First"},
               {"LEAK_IN_FIRST=" + number, "LEAVE_TIME_WAIT=1"});
  const run_result later = run_together({SELFTEST_GTEST_AUTO_SUBJECT, "--gtest_filter=Auto.Second"},
                                        {"IS_FREE_IN_SECOND=" + number});
  EXPECT_TRUE(has(later, "left by: Auto.First, an earlier test")) << later.out;
}

TEST_F(AutoSubject, DoesNotNameOneTestForWhatItsSuiteOrProgramLeaves) {
  const journal_file journal;
  const run_result run = this->run({"LEAK_IN_SUITE", "LEAK_IN_ENVIRONMENT"});
  EXPECT_TRUE(has(run, "tidewait: suite Auto left 1 socket")) << run.out;
  EXPECT_TRUE(has(run, "tidewait: the test program left 1 socket")) << run.out;
  EXPECT_FALSE(has(run, "used by")) << run.out;
}

TEST_F(AutoSubject, LooksInEachRepetition) {
  const run_result run = this->run({}, {}, {"--gtest_repeat=3", "--gtest_shuffle"});
  EXPECT_EQ(run.status, 0) << run.out;
}

TEST_F(AutoSubject, LooksAfterTheTestThatFailFastStopsAt) {
  const run_result run = this->run({"LEAK_IN_FIRST"}, {}, {"--gtest_fail_fast"});
  if (has(run, "\nTest Selection:\n")) GTEST_SKIP() << "GoogleTest 1.10 does not know the flag";
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "Auto.First left 1 socket behind")) << run.out;
}

TEST_F(AutoSubject, LooksInItsShardOnly) {
  const selftest::words shard = {"GTEST_TOTAL_SHARDS=3", "GTEST_SHARD_INDEX=1"};
  EXPECT_EQ(run({"LEAK_IN_FIRST"}, shard).status, 0);
}

}  // namespace
