// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/tally.hpp>
#include <tidewait/detail/tally_text.hpp>

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tidewait::detail::stale_rules;
using tidewait::detail::tally;
using tidewait::detail::tally_finding;
using tidewait::detail::tally_program;
using tidewait::detail::tally_rule;
using tidewait::detail::tally_verdict;

tally_finding finding(tally_verdict verdict, const std::string& test, const std::string& kind,
                      const std::string& port = "") {
  tally_finding made;
  made.verdict = verdict;
  made.test = test;
  made.kind = kind;
  made.port = port;
  made.place = "127.0.0.1:" + (port.empty() ? "40000" : port);
  made.fix = kind == "TIME_WAIT" ? "let the client close first" : "close the listening socket";
  return made;
}

tally_finding passed(const std::string& rule) {
  tally_finding made = finding(tally_verdict::passed, "A.b", "LISTEN");
  made.rule = rule;
  made.file = "/known.txt";
  return made;
}

/// What `summarise` says of 207 tests, of which all but one left a TIME_WAIT on one port.
TEST(Tally, SummarisesManyThatAreAlikeInOneLine) {
  tally all;
  for (int i = 0; i < 207; ++i) {
    all.findings.push_back(finding(tally_verdict::failed, "Net.T" + std::to_string(i), "TIME_WAIT",
                                   i == 7 ? "99" : "1234"));
  }
  all.findings.push_back(finding(tally_verdict::warned, "Net.Udp", "LISTEN"));
  all.findings.push_back(passed("listen"));
  all.programs = {{"", 300, true, false}};
  const std::string text = summarise(all, "tidewait known record -- ctest");
  EXPECT_THAT(text, AllOf(HasSubstr("looked after 300 tests: 207 left something behind, "),
                          HasSubstr("  207 tests left TIME_WAIT, 206 of them on port 1234: let the "
                                    "client close first\n"),
                          HasSubstr("  warning: Net.Udp left LISTEN 127.0.0.1:40000: close"),
                          HasSubstr("tidewait known record -- ctest")));
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 10);
}

TEST(Tally, NamesTheFiveTestsThatLeftMost) {
  tally all;
  for (std::size_t i = 1; i <= 7; ++i) {
    all.findings.push_back(finding(tally_verdict::failed, "T" + std::to_string(i), "LISTEN"));
    all.findings.back().count = i;
  }
  EXPECT_THAT(summarise(all, ""), HasSubstr("  most: T7 (7), T6 (6), T5 (5), T4 (4), T3 (3)\n"));
}

/// One test on port 8080 for each name of CTest and program.
tally same_test(const std::vector<std::pair<std::string, std::string>>& where) {
  tally all;
  for (const auto& [ctest_name, program] : where) {
    all.findings.push_back(finding(tally_verdict::failed, "Leak.Server", "LISTEN", "8080"));
    all.findings.back().ctest_name = ctest_name;
    all.findings.back().program = program;
    all.programs.push_back({ctest_name, 1, true, false});
  }
  return all;
}

TEST(Tally, CountsATestUnderTwoNamesOfCTestTwice) {
  const std::string text =
      summarise(same_test({{"locked.Leak.Server", "net"}, {"free.Leak.Server", "net"}}), "");
  EXPECT_THAT(text, AllOf(HasSubstr("looked after 2 tests: 2 left something behind\n"),
                          HasSubstr("  2 tests left LISTEN, all of them on port 8080: close"),
                          HasSubstr("  most: free.Leak.Server (1), locked.Leak.Server (1)\n")));
}

TEST(Tally, CountsATestOfTwoProgramsTwice) {
  for (const auto& run : {same_test({{"", "first"}, {"", "second"}}),
                          same_test({{"first", "net"}, {"second", "net"}})}) {
    EXPECT_THAT(summarise(run, ""),
                AllOf(HasSubstr(": 2 left something behind\n"),
                      HasSubstr("most: Leak.Server of first (1), Leak.Server of second (1)\n")));
  }
}

TEST(Tally, CountsATestOnceThatRanAgainOrOfWhichItsLauncherFoundMore) {
  tally run = same_test({{"net.Leak.Server", "net"}, {"net.Leak.Server", "tidewait"}});
  run.findings.back().test = "net.Leak.Server";
  const std::string text = summarise(run, "");
  EXPECT_THAT(text, AllOf(HasSubstr(": 1 left something behind\n"),
                          HasSubstr("  net.Leak.Server left LISTEN 127.0.0.1:8080: close"),
                          Not(HasSubstr("1 test left"))));
}

TEST(Tally, SaysNothingOfNothing) { EXPECT_EQ(summarise(tally{}, "x"), ""); }

TEST(Tally, ComesBackFromItsLines) {
  tally program;
  program.findings = {finding(tally_verdict::harmless, "a \"b\" \\ c", "TIME_WAIT", "80"),
                      passed("listen+test=\"x, y\"")};
  program.findings[0].ctest_name = "net.a";
  program.findings[0].program = "net_tests";
  program.rules = {{"listen", "/known.txt", 0, true, true}};
  program.files = {"/known.txt"};
  program.programs = {{"net.A", 3, true, false}};
  std::string text = tidewait::detail::begin_of_tally();
  for (const tally_finding& each : program.findings) text += to_tally_line(each);
  text += end_of_tally(program);
  tally read;
  for (std::string_view rest = text; !rest.empty();)
    add_tally_line(tidewait::detail::take_line(rest), read);
  ASSERT_EQ(read.findings.size(), 2U);
  EXPECT_EQ(read.findings[0].test, "a \"b\" \\ c");
  EXPECT_EQ(read.findings[0].verdict, tally_verdict::harmless);
  EXPECT_EQ(read.findings[0].ctest_name, "net.a");
  EXPECT_EQ(read.findings[0].program, "net_tests");
  EXPECT_EQ(read.findings[1].rule, "listen+test=\"x, y\"");
  ASSERT_EQ(read.rules.size(), 1U);
  EXPECT_TRUE(read.rules[0].ran && read.rules[0].names_test);
  EXPECT_EQ(read.files.count("/known.txt"), 1U);
  EXPECT_EQ(read.tests(), 3U);
  EXPECT_TRUE(read.whole());
}

TEST(Tally, PassesOverWhatIsNoLineOfIt) {
  tally read;
  for (const char* const line :
       {"", "{}", "{\"tally\":2,\"event\":\"begin\"}", "{\"tally\":1,\"event\":\"finding\"}",
        "{\"tally\":1,\"event\":\"other\"}", "{\"tally\":1,\"event\":\"finding\",\"verdict\":\"fa",
        "\x01\xff"}) {
    tidewait::detail::add_tally_line(line, read);
  }
  EXPECT_TRUE(read.findings.empty() && read.rules.empty() && read.files.empty());
  EXPECT_EQ(read.begun, 0U);
}

TEST(Tally, CountsATestOnceThatALauncherAndItsProgramHaveLookedAfter) {
  tally run;
  run.programs = {{"net.A", 1, true, true}, {"net.A", 1, false, false}, {"net.B", 1, true, true}};
  EXPECT_EQ(run.tests(), 2U);
}

TEST(Tally, IsNotWholeIfAProgramDidNotComeToItsEndOrLeftTestsOut) {
  tally run;
  EXPECT_FALSE(run.whole());
  run.begun = 2;
  run.programs = {{"", 1, true, false}};
  EXPECT_FALSE(run.whole());
  run.programs.push_back({"", 1, true, false});
  EXPECT_TRUE(run.whole());
  run.programs.back().whole = false;
  EXPECT_FALSE(run.whole());
}

class JudgedRules : public testing::Test {
 protected:
  static tally_rule rule(const std::string& text, bool names_test, bool ran = false) {
    return {text, "/known.txt", 12, names_test, ran};
  }
  tally run_;
};

TEST_F(JudgedRules, CanGoOnlyIfTheirTestHasRun) {
  run_.rules = {rule("listen+test=A", true, true)};
  const stale_rules judged =
      judge_rules({rule("listen+test=A", true), rule("listen+test=B", true)}, run_, true);
  ASSERT_EQ(judged.fixed.size(), 1U);
  EXPECT_EQ(judged.fixed[0].rule, "listen+test=A");
  EXPECT_EQ(judged.unjudged, 0U);
  EXPECT_THAT(summarise(judged, "prune", [](const std::string& name) { return name; }),
              AllOf(HasSubstr("fixed: remove line 12 of /known.txt: listen+test=A\n"),
                    HasSubstr("`prune` removes"), Not(HasSubstr("test=B"))));
}

TEST_F(JudgedRules, WithoutATestCanGoOnlyIfAllTestsHaveRun) {
  EXPECT_EQ(judge_rules({rule("listen", false)}, run_, true).fixed.size(), 1U);
  const stale_rules judged = judge_rules({rule("listen", false)}, run_, false);
  EXPECT_EQ(judged.fixed.size(), 0U);
  EXPECT_EQ(judged.unjudged, 1U);
}

TEST_F(JudgedRules, ThatStandInAFileTwiceCountOnce) {
  run_.findings = {passed("listen+test=A")};
  const stale_rules judged =
      judge_rules({rule("listen+test=A", true), rule("listen+test=A", true)}, run_, true);
  EXPECT_EQ(judged.fixed.size(), 0U);
  EXPECT_EQ(judged.in_use, 1U);
  EXPECT_EQ(judged.findings, 1U);
}

TEST_F(JudgedRules, StayIfAnyProgramHasUsedThem) {
  run_.findings = {passed("listen+test=A"), passed("listen+test=A")};
  run_.rules = {rule("listen+test=A", true, true)};
  const stale_rules judged = judge_rules({rule("listen+test=A", true)}, run_, true);
  EXPECT_EQ(judged.fixed.size(), 0U);
  EXPECT_EQ(judged.in_use, 1U);
  EXPECT_EQ(judged.findings, 2U);
}

}  // namespace
