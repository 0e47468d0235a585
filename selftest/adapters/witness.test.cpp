// SPDX-License-Identifier: BSL-1.0
//
// Programs whose tests know nothing of tidewait, and what it says of each test: with the fixture,
// with gtest_auto and with catch2_auto. What is really there when a test's program has ended, ss
// tells.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "../support/run_program.hpp"
#include "../support/witness_program.hpp"

namespace {

using selftest::run_result;

struct expectation {
  const char* test;
  int time_waits;       ///< On a port of the test's servers, when the program has ended.
  int clients;          ///< That stay on the port of a client.
  const char* by_link;  ///< What gtest_auto and catch2_auto make of it.
  const char* by_fixture;
};

std::ostream& operator<<(std::ostream& out, const expectation& each) { return out << each.test; }

const expectation expectations[] = {
    {"BindsNothing", 0, 0, "clean", "clean"},
    {"ClosesWhatItOpens", 0, 0, "clean", "clean"},
    {"LeavesAListener", 0, 0, "fails", "fails"},
    {"LeavesAListenerOnAChosenPort", 0, 0, "fails", "fails"},
    {"ClosesFirst", 1, 0, "fails", "fails"},
    {"ClosesFirstWithReuse", 1, 0, "harmless", "fails"},
    {"ClosesFirstWithReusePort", 1, 0, "harmless", "fails"},
    {"ClosesFirstOnAChosenPort", 1, 0, "harmless", "warns"},
    {"ClosesManyFirst", 20, 0, "fails", "fails"},
    {"LetsTheClientClose", 0, 1, "clean", "clean"},
    {"ClosesFirstOnV6", 1, 0, "fails", "fails"},
    {"ClosesFirstOnDualStack", 1, 0, "fails", "fails"},
    {"ClosesFirstOnDualStackWithReuse", 1, 0, "harmless", "fails"},
    {"ClosesFirstOnTheWildcard", 1, 0, "fails", "fails"},
    {"LeavesAConnection", 1, 0, "fails", "fails"},
    {"LeavesAConnectionThatTheClientClosed", 0, 1, "fails", "fails"},
    {"LeavesAUdpSocket", 0, 0, "fails", "fails"},
    {"LeavesAUdpSocketOnAChosenPort", 0, 0, "fails", "fails"},
    {"ClosesAUdpSocket", 0, 0, "clean", "clean"},
    {"RunsSeveralServers", 3, 0, "fails", "fails"},
    {"ServesOnAThread", 1, 0, "fails", "fails"},
    {"ServesOnAThreadWithDescriptorsOfItsOwn", 1, 0, "fails", "fails"},
    {"LeavesOneOfItsWorkers", 0, 0, "fails", "fails"},
    {"ServesOnThePool", 1, 0, "fails", "fails"},
    {"ServesOnThePoolAndCleansUp", 0, 0, "clean", "clean"},
    {"LeavesAListenerOfThePool", 0, 0, "fails", "fails"},
    {"ServesInAForkedChild", 1, 0, "fails", "fails"},
    {"UsesTheProgramsServer", 1, 0, "clean", "clean"},
    {"BindsTwice", 0, 0, "clean", "clean"},
    {"MaySharePorts", 0, 0, "clean", "clean"},
    {"BindsAgainAfterTimeWait", 1, 0, "fails", "fails"},
};

std::string verdict(const run_result& run, const std::string& test) {
  if (has(run, "left ") && run.status != 0) return "fails";
  if (run.status != 0) return "ends with " + std::to_string(run.status);
  if (std::regex_search(run.out, std::regex{"tidewait: warning: .* left "})) return "warns";
  const auto table = run.out.find("that block no later bind\n");
  if (table == std::string::npos) return "clean";
  const std::regex line{"\n  (Served[.])?" + test + "  "};
  return std::regex_search(run.out.substr(table), line) ? "harmless" : "clean";
}

class Witness : public testing::TestWithParam<expectation> {
 protected:
  static constexpr int programs_own = 1;  // main() leaves one before the tests begin

  run_result run(const std::string& program, const std::vector<std::string>& arguments) {
    run_result run = run_alone(program, arguments, "", time_waits_);
    if (time_waits_ < 0 && run.out.rfind("skip: ", 0) == 0) skipped_ = run.out;
    return run;
  }

  int time_waits_ = 0;
  std::string skipped_;
};

TEST_P(Witness, JudgesByFixture) {
  const auto run = this->run(SELFTEST_WITNESS_FIXTURE,
                             {std::string{"--gtest_filter=Served."} + GetParam().test});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(verdict(run, GetParam().test), GetParam().by_fixture) << run.out;
  EXPECT_EQ(time_waits_ - programs_own, GetParam().time_waits + GetParam().clients) << run.out;
}

TEST_P(Witness, JudgesByLinkOfGoogleTest) {
  const auto run =
      this->run(SELFTEST_WITNESS_GTEST, {std::string{"--gtest_filter=Served."} + GetParam().test});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(verdict(run, GetParam().test), GetParam().by_link) << run.out;
  EXPECT_EQ(time_waits_ - programs_own, GetParam().time_waits + GetParam().clients) << run.out;
}

#ifdef SELFTEST_WITNESS_CATCH2
TEST_P(Witness, JudgesByLinkOfCatch2) {
  const auto run = this->run(SELFTEST_WITNESS_CATCH2, {GetParam().test});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(verdict(run, GetParam().test), GetParam().by_link) << run.out;
  EXPECT_EQ(time_waits_ - programs_own, GetParam().time_waits + GetParam().clients) << run.out;
}
#endif

INSTANTIATE_TEST_SUITE_P(Each, Witness, testing::ValuesIn(expectations),
                         [](const auto& each) { return std::string{each.param.test}; });

/// All tests in one program: each is accused of what it left itself, and of nothing else.
TEST_F(WitnessProgram, AccusesEachTestOfItsOwn) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  std::string accused;
  const std::regex line{R"(tidewait: Served\.(\w+) left \d+ sockets? behind)"};
  for (std::sregex_iterator each{run.out.begin(), run.out.end(), line}, end; each != end; ++each)
    accused += (*each)[1].str() + '\n';
  std::string expected;
  for (const expectation& each : expectations) {
    if (std::string{each.by_link} == "fails") expected += std::string{each.test} + '\n';
  }
  EXPECT_EQ(accused, expected) << run.out;
}

/// What the server of a suite leaves when it ends is the suite's, and no test of it is accused.
TEST_F(WitnessProgram, AccusesASuiteOfWhatItsServerLeft) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=SuiteServer*"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_EQ(time_waits_, 4) << run.out;  // with the one that main() leaves
  EXPECT_TRUE(has(run, "\n[  PASSED  ] 3 tests.\n")) << run.out;
  EXPECT_TRUE(has(run, "tidewait: suite SuiteServer left 2 sockets behind on 127.0.0.1:20033\n"))
      << run.out;
  EXPECT_TRUE(std::regex_search(
      run.out, std::regex{R"(\n  suite SuiteServerWithReuse  127\.0\.0\.1:20034  1  the server)"}))
      << run.out;
}

TEST_F(WitnessProgram, SaysWhyATimeWaitBlocksNoLaterBind) {
  const std::pair<const char*, const char*> reasons[] = {
      {"ClosesFirstWithReuse", "the server sets SO_REUSEADDR\n"},
      {"ClosesFirstWithReusePort", "the server sets SO_REUSEPORT\n"},
      {"ClosesFirstOnAChosenPort", "the kernel chose the port\n"},
  };
  for (const auto& [test, reason] : reasons) {
    const auto run =
        this->run(SELFTEST_WITNESS_GTEST, {std::string{"--gtest_filter=Served."} + test});
    if (!skipped_.empty()) GTEST_SKIP() << skipped_;
    EXPECT_TRUE(has(run, reason)) << run.out;
  }
}

TEST_F(WitnessProgram, SaysWhereALeakWasBound) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.LeavesAListener"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  const std::regex place{
      R"(bound at witness_subject\.cpp:\d+ \(server::server\) called from witness_subject\.cpp:\d+\s+\(Served_LeavesAListener_Test::TestBody\))"};
  EXPECT_TRUE(std::regex_search(run.out, place)) << run.out;
}

TEST_F(WitnessProgram, ExplainsABindThatFailedWhereTheTestFails) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.BindsTwiceAndFails"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "a bind to 127.0.0.1:20021 failed: Address already in use")) << run.out;
  EXPECT_TRUE(has(run, "called at: witness_subject.cpp:")) << run.out;
  EXPECT_TRUE(has(run, "of this process is still listening")) << run.out;
}

TEST_F(WitnessProgram, NamesATestThatPassedThoughABindFailed) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.BindsTwice"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_TRUE(has(run,
                  "tidewait: warning: binds failed in tests that passed\n  Served.BindsTwice  "
                  "127.0.0.1:20020  Address already in use"))
      << run.out;
}

TEST_F(WitnessProgram, FailsForABindThatFailedIfThePolicySaysSo) {
  const auto run =
      this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.BindsTwice"}, "fail:bind_failed");
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_FALSE(has(run, "binds failed in tests that passed")) << run.out;
}

TEST_F(WitnessProgram, FailsForAWildcardAddressIfThePolicySaysSo) {
  for (const char* const test : {"ClosesFirstOnTheWildcard", "ClosesWhatItOpens"}) {
    const auto run =
        this->run(SELFTEST_WITNESS_GTEST, {std::string{"--gtest_filter=Served."} + test},
                  "time_wait, fail:wildcard");
    if (!skipped_.empty()) GTEST_SKIP() << skipped_;
    EXPECT_EQ(has(run, "serves on the wildcard address 0.0.0.0:20011"),
              std::string{test} == "ClosesFirstOnTheWildcard")
        << run.out;
  }
}

TEST_F(WitnessProgram, AnswersATestThatAsksWhatItBound) {
  const auto run = this->run(SELFTEST_WITNESS_FIXTURE, {"--gtest_filter=Served.AsksWhatItBound"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 0) << run.out;
}

/// A child that was only forked writes into the same ring. One that executes the program again has
/// a ring of its own, so nobody is accused.
TEST_F(WitnessProgram, SeesWhatADeathTestBindsIfItOnlyForks) {
  for (const std::string style : {"fast", "threadsafe"}) {
    const auto run = this->run(
        SELFTEST_WITNESS_FIXTURE,
        {"--gtest_filter=Served.ServesInADeathTest", "--gtest_death_test_style=" + style});
    if (!skipped_.empty()) GTEST_SKIP() << skipped_;
    const bool forks = style == "fast";
    EXPECT_EQ(run.status, forks ? 1 : 0) << run.out;
    EXPECT_EQ(has(run, "bound at witness_subject.cpp:"), forks) << run.out;
    // That of main(), which runs again in a program that is executed again, and the child's.
    EXPECT_EQ(time_waits_, forks ? 2 : 3) << run.out;
  }
}

TEST_F(WitnessProgram, ReadsNoAddressThatTheKernelHasNotRead) {
  const auto run =
      this->run(SELFTEST_WITNESS_FIXTURE, {"--gtest_filter=Served.CallsWithWhatIsWrong"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 0) << run.out;
}

TEST_F(WitnessProgram, WritesEachBindIntoTheJournalOnce) {
  char path[] = "/tmp/tidewait-journal-XXXXXX";
  const int file = ::mkstemp(path);
  ASSERT_GE(file, 0);
  ::close(file);
  ::setenv("TIDEWAIT_JOURNAL", path, 1);
  const auto run =
      this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=*RunsSeveralServers:*BindsTwice"});
  ::unsetenv("TIDEWAIT_JOURNAL");
  std::ostringstream journal;
  journal << std::ifstream{path}.rdbuf();
  ::unlink(path);
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  const auto count = [&](const std::string& what) {
    std::size_t found = 0;
    for (auto at = journal.str().find(what); at != std::string::npos;
         at = journal.str().find(what, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count(R"("event":"bound")"), 4U) << journal.str();
  EXPECT_EQ(count(R"("event":"bind_failed")"), 1U) << journal.str();
  EXPECT_EQ(count(R"("kernel_chose_port":1)"), 1U) << journal.str();
  EXPECT_EQ(count(R"("got":"127.0.0.1:20016")"), 1U) << journal.str();
}

TEST_F(WitnessProgram, IsTurnedOffByTheEnvironment) {
  ::setenv("TIDEWAIT_WITNESS", "off", 1);
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.LeavesAListener"});
  ::unsetenv("TIDEWAIT_WITNESS");
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_FALSE(has(run, "bound at")) << run.out;
}

TEST_F(WitnessProgram, LeavesOutTheStackIfAskedTo) {
  ::setenv("TIDEWAIT_STACK", "off", 1);
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.ClosesFirst"});
  ::unsetenv("TIDEWAIT_STACK");
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_FALSE(has(run, "bound at")) << run.out;
}

/// The tool that names the code hangs, fails or prints nonsense: the report is there all the same.
TEST_F(WitnessProgram, DoesNotDependOnTheToolThatNamesTheCode) {
  char folder[] = "/tmp/tidewait-tool-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string tool = std::string{folder} + "/addr2line";
  const std::string other = std::string{folder} + "/llvm-symbolizer";  // the first with Clang
  ASSERT_EQ(::symlink(tool.c_str(), other.c_str()), 0);
  const char* const before = std::getenv("PATH");
  const std::string path = before == nullptr ? "" : before;
  for (const char* const does : {"exit 1", "echo 0x12: nonsense; echo ??", "kill -9 $$"}) {
    std::ofstream{tool} << "#!/bin/sh\n" << does << '\n';
    ::chmod(tool.c_str(), 0700);
    ::setenv("PATH", (std::string{folder} + ':' + path).c_str(), 1);
    const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.LeavesAListener"});
    ::setenv("PATH", path.c_str(), 1);
    if (!skipped_.empty()) break;
    EXPECT_EQ(run.status, 1) << run.out;
    EXPECT_TRUE(has(run, "bound at subject_witness_gtest+0x")) << run.out;
  }
  ::unlink(tool.c_str());
  ::unlink(other.c_str());
  ::rmdir(folder);
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
}

TEST_F(WitnessProgram, LeavesAMockedBindToTheProgramAndSaysSo) {
  const auto run = this->run(SELFTEST_WITNESS_MOCK_SUBJECT, {});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "Mocked.LeavesAListener left 1 socket behind")) << run.out;
  EXPECT_TRUE(has(run, "this program defines bind() or listen() itself")) << run.out;
  EXPECT_FALSE(has(run, "tidewait's own binds")) << run.out;
}

#ifdef SELFTEST_WITNESS_STATIC
TEST_F(WitnessProgram, WorksHoweverTheProgramIsLinked) {
  std::vector<std::string> programs{SELFTEST_WITNESS_STATIC, SELFTEST_WITNESS_STRIPPED};
#ifdef SELFTEST_WITNESS_LTO
  programs.emplace_back(SELFTEST_WITNESS_LTO);
#endif
  for (const std::string& program : programs) {
    const auto run = this->run(program, {"--gtest_filter=Served.ClosesFirst:Served.BindsNothing"});
    if (!skipped_.empty()) GTEST_SKIP() << skipped_;
    EXPECT_EQ(run.status, 1) << run.out;
    EXPECT_TRUE(has(run, "Served.ClosesFirst left 1 socket behind on 127.0.0.1:20003")) << run.out;
    EXPECT_TRUE(has(run, "bound at ")) << run.out;
  }
}
#endif

TEST_F(WitnessProgram, FailsForAHarmlessTimeWaitIfThePolicySaysSo) {
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.ClosesFirstWithReuse"},
                             "fail:time_wait");
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
}

}  // namespace
