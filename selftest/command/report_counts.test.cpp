// SPDX-License-Identifier: BSL-1.0
//
// What a report counts: a call, a TIME_WAIT and a test once, however many witnesses have seen them;
// and what it advises for a single test.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "journal_text.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

json report_of(const journal_text& journal) {
  const own_file file{journal};
  const own_file written;
  const run_result result =
      tidewait_command({"report", file.path(), "--json", written.path(), "-j", "8"});
  EXPECT_EQ(result.status, 0) << result.err;
  return json::parse(written.read());
}

std::string text_of(const journal_text& journal) {
  const own_file file{journal};
  const run_result result = tidewait_command({"report", file.path(), "-j", "8"});
  EXPECT_EQ(result.status, 0) << result.err;
  return result.out;
}

const std::string endpoint = "127.0.0.1:1234";

std::string cookie(int number) {
  return R"(,"cookie":")" + std::to_string(number) + R"(","stack":"/b/net_tests+0x1")";
}

/// A failed bind as the witness in the program records it.
journal_text& fail_inside(journal_text& journal, const std::string& test, int socket) {
  return journal.line("bind_failed", test,
                      R"(,"protocol":"tcp","asked":")" + endpoint +
                          R"(","error":98,"place":"server.cpp:12","count":1)" + cookie(socket));
}

/// CTest's test "net.A", under a launcher of pid 10 in a program of pid 11.
journal_text launched() {
  journal_text journal;
  journal.ctest("net.A").process(10, "launcher", "tidewait");
  journal.begin("net.A", R"(,"launched":"net_tests")").process(11, "inside").begin("A");
  return journal;
}

journal_text& end(journal_text& journal) {
  return journal.process(10, "launcher", "tidewait").end("net.A");
}

TEST(ReportCounts, ABindThatTheProgramAndItsLauncherHaveSeenOnce) {
  journal_text journal = launched();
  fail_inside(journal, "A", 5).end("A");
  journal.process(11, "launcher").launcher_saw_failure("net.A", endpoint, 5, 1, "sshd (pid 7)");
  end(journal);
  const json rows = report_of(journal)["tables"]["failed_binds"];
  ASSERT_EQ(rows.size(), 1U) << rows;
  EXPECT_EQ(rows[0]["times"], 1);
  EXPECT_EQ(rows[0]["held_by"], "sshd (pid 7)") << "as the launcher knows";
  EXPECT_EQ(rows[0]["place"], "server.cpp:12") << "as the program knows";
}

TEST(ReportCounts, CallsThatTheLauncherHasPutInOneLine) {
  journal_text journal = launched();
  for (const int socket : {5, 6, 7}) fail_inside(journal, "A", socket);
  journal.end("A").process(11, "launcher");
  journal.launcher_saw_failure("net.A", endpoint, 5, 4, "x");
  end(journal);
  const json rows = report_of(journal)["tables"]["failed_binds"];
  int times = 0;
  for (const json& each : rows) times += each["times"].get<int>();
  EXPECT_EQ(times, 4) << "one of them only the launcher has seen: " << rows;
}

TEST(ReportCounts, CallsOfASocketThatNeitherKnowsByThePid) {
  journal_text journal = launched();
  fail_inside(journal, "A", 0).end("A").process(11, "launcher");
  journal.launcher_saw_failure("net.A", endpoint, 0, 1, "x").process(12, "launcher");
  journal.launcher_saw_failure("net.A", endpoint, 0, 1, "x");
  end(journal);
  const json rows = report_of(journal)["tables"]["failed_binds"];
  ASSERT_EQ(rows.size(), 1U) << rows;
  EXPECT_EQ(rows[0]["times"], 2) << "pid 12 is another process";
}

TEST(ReportCounts, CallsOnTwoSocketsTwice) {
  journal_text journal = launched();
  fail_inside(journal, "A", 5).end("A").process(11, "launcher");
  journal.launcher_saw_failure("net.A", "127.0.0.1:1235", 5, 1, "x");
  journal.process(12, "launcher").launcher_saw_failure("net.A", endpoint, 6, 1, "x");
  end(journal);
  EXPECT_EQ(report_of(journal)["tables"]["failed_binds"].size(), 2U + 1U);
}

TEST(ReportCounts, TheLineOfABindThatItsLauncherSawFirst) {
  journal_text journal = launched();
  const std::string bound = R"(,"protocol":"tcp","asked":"127.0.0.1:1234","got":"127.0.0.1:1234",)"
                            R"("listening":1,"error":0,"count":1)";
  journal.line("bound", "A", bound + R"(,"cookie":"1")");
  journal.line("bound", "A", bound + cookie(1) + R"(,"place":"server.cpp:12")");
  journal.left("A", endpoint, 1).end("A");
  end(journal);
  EXPECT_EQ(report_of(journal)["tables"]["left_behind"][0]["place"], "server.cpp:12");
}

TEST(ReportCounts, ATimeWaitOnce) {
  journal_text journal = launched();
  journal.bound("A", endpoint, 1).left("A", endpoint, 9, "TIME_WAIT").end("A");
  journal.process(10, "launcher").left("net.A", endpoint, 9, "TIME_WAIT");
  journal.left("net.A", endpoint, 10, "TIME_WAIT");
  end(journal);
  const json rows = report_of(journal)["tables"]["time_waits"];
  ASSERT_EQ(rows.size(), 1U) << rows;
  EXPECT_EQ(rows[0]["count"], 2);
}

TEST(ReportCounts, ATestOnceThatRunsInAProgramUnderALauncher) {
  journal_text journal;
  journal.ctest("net_tests").process(10, "launcher", "tidewait").begin("net_tests");
  journal.process(11, "inside").begin("the test program");
  for (const char* const test : {"A.one", "B.two"}) journal.begin(test).end(test);
  journal.end("the test program").process(10, "launcher", "tidewait").end("net_tests");
  const json tests = report_of(journal)["tests"];
  ASSERT_EQ(tests.size(), 2U) << tests;
  EXPECT_EQ(tests[0]["name"], "A.one (net_tests)");
}

/// A test that closes its server first, and binds again.
journal_text restarting() {
  journal_text journal;
  journal.begin("A.restarts").bound("A.restarts", endpoint, 1);
  journal.bind_failed("A.restarts", endpoint).left("A.restarts", endpoint, 9, "TIME_WAIT");
  return journal.end("A.restarts");
}

TEST(ReportAdvice, OnARestartIntoTimeWaitIsSoReuseaddrWhereItIsBound) {
  const json report = report_of(restarting());
  EXPECT_EQ(report["tables"]["failed_binds"][0]["held_by"], "a TIME_WAIT (test A.restarts)");
  const json& steps = report["advice"]["steps"];
  ASSERT_EQ(steps.size(), 1U) << steps;
  EXPECT_EQ(steps[0]["what"], "Set SO_REUSEADDR before bind at server.cpp:12");
  EXPECT_EQ(steps[0]["why"], "TIME_WAIT made 1 bind fail");
  EXPECT_THAT(text_of(restarting()), Not(HasSubstr("No two tests")));
}

TEST(ReportAdvice, OnATimeWaitThatAnotherTestRunsInto) {
  journal_text journal;
  journal.begin("A.first").bound("A.first", endpoint, 1);
  journal.left("A.first", endpoint, 9, "TIME_WAIT").end("A.first");
  EXPECT_EQ(report_of(journal)["advice"]["steps"][0]["why"],
            "1 TIME_WAIT keeps a bind from succeeding for a minute");
  journal.process(20, "b").begin("B.next").bind_failed("B.next", endpoint).end("B.next");
  const json report = report_of(journal);
  EXPECT_EQ(report["tables"]["failed_binds"][0]["held_by"], "a TIME_WAIT (test A.first)");
  EXPECT_EQ(report["advice"]["steps"][0]["what"], "Set SO_REUSEADDR before bind at server.cpp:12");
}

TEST(ReportAdvice, IsSilentOnSoReuseaddrWhereItIsSetOrAListenerIsInTheWay) {
  journal_text reusing;
  reusing.begin("A").bound("A", endpoint, 1, R"(,"reuse_address":1)");
  reusing.left("A", endpoint, 9, "TIME_WAIT").end("A");
  EXPECT_TRUE(report_of(reusing)["advice"]["steps"].empty());
  journal_text taken;
  taken.process(10, "a").begin("A").bound("A", endpoint, 1);
  taken.process(20, "b").begin("B").bind_failed("B", endpoint).end("B");
  taken.process(10, "a").end("A");
  EXPECT_THAT(text_of(taken), Not(HasSubstr("SO_REUSEADDR")));
}

TEST(ReportAdvice, OnWhatTestsLeaveOpenNamesTheTestAndWhereItWasBound) {
  journal_text journal;
  for (int i = 1; i <= 8; ++i) {
    const std::string test = "T.leaks" + std::to_string(i);
    const std::string where = "127.0.0.1:" + std::to_string(2000 + i);
    journal.begin(test);
    for (int j = 0; j < (i == 7 ? 3 : 1); ++j) {
      journal.bound(test, where, 10 * i + j).left(test, where, 10 * i + j);
    }
    journal.end(test);
  }
  const json step = report_of(journal)["advice"]["steps"][0];
  EXPECT_EQ(step["what"], "Close what 8 tests leave open");
  EXPECT_THAT(step["paste"].get<std::vector<std::string>>(),
              ElementsAre("// T.leaks7: bound at server.cpp:12", StartsWith("// T.leaks1"),
                          StartsWith("// T.leaks2"), StartsWith("// T.leaks3"),
                          StartsWith("// T.leaks4"), StartsWith("// T.leaks5"), "// and 2 more"));
}

TEST(ReportAdvice, NamesAProgramOnceThatALauncherHasStartedForSeveralTests) {
  journal_text journal;
  for (const char* const test : {"free.A", "free.B"}) {
    journal.ctest(test).process(10, test, "tidewait").begin(test, R"(,"launched":"net_tests")");
    journal.process(11, test, "").bound(test, endpoint, test[5]);
    journal.process(10, test, "tidewait").end(test);
  }
  EXPECT_THAT(text_of(journal),
              AllOf(HasSubstr("\n       tidewait_discover_tests(net_tests FIXED_PORTS 1234)\n\n"),
                    Not(HasSubstr("<target"))));
}

}  // namespace
