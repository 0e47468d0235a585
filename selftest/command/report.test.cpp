// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "journal_text.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// The report of a journal, as JSON.
json report_of(const journal_text& journal, std::vector<std::string> options = {}) {
  const own_file file{journal};
  const own_file written;
  options.insert(options.begin(), {"report", file.path(), "--json", written.path(), "-j", "8"});
  const run_result result = tidewait_command(options);
  EXPECT_EQ(result.status, 0) << result.err;
  return json::parse(written.read());
}

std::string text_of(const journal_text& journal) {
  const own_file file{journal};
  const run_result result = tidewait_command({"report", file.path(), "-j", "8"});
  EXPECT_EQ(result.status, 0) << result.err;
  return result.out;
}

/// Two tests, one after the other, on one number.
journal_text two_on_one_number() {
  journal_text journal;
  journal.process(10, "a").begin("A.one").bound("A.one", "127.0.0.1:1234", 1).pass(1000);
  journal.end("A.one");
  journal.process(20, "b", "web_tests").begin("B.two").bound("B.two", "0.0.0.0:1234", 2).pass(500);
  journal.end("B.two");
  return journal;
}

TEST(Report, NamesTheTestsThatBindOneNumber) {
  const json report = report_of(two_on_one_number());
  ASSERT_EQ(report["tables"]["collisions"].size(), 1U);
  const json& row = report["tables"]["collisions"][0];
  EXPECT_EQ(row["port"], "1234/tcp");
  EXPECT_EQ(row["tests"], 2);
  EXPECT_EQ(row["failed"], 0);
  EXPECT_EQ(row["at_once"], 0);
  EXPECT_EQ(row["who"], "A.one and B.two");
}

TEST(Report, ListsUnixSocketsAndStaleFilesThatWereLeft) {
  journal_text journal;
  journal.process(10, "a").begin("A.one");
  journal.line("left_behind", "A.one",
               R"(,"protocol":"unix","state":"LISTEN","path":"@name","cookie":"7","reported":1)");
  journal.line("left_behind", "A.one",
               R"(,"protocol":"unix","path":"/run/a.sock","file":"1:2:3","cookie":"0")");
  journal.end("A.one");
  const json rows = report_of(journal)["tables"]["left_behind"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["state"], "stale file");
  EXPECT_EQ(rows[0]["port"], "/run/a.sock");
  EXPECT_EQ(rows[0]["failed"], "no");
  EXPECT_EQ(rows[1]["state"], "LISTEN");
  EXPECT_EQ(rows[1]["port"], "@name");
  EXPECT_EQ(rows[1]["failed"], "yes");
  EXPECT_THAT(report_of(journal).dump(),
              AllOf(HasSubstr("A.one left the stale socket file /run/a.sock"),
                    HasSubstr("A.one left 1 socket in LISTEN on @name")));
}

TEST(Report, AListenerThatWasSharedIsReadLikeAnother) {
  journal_text journal = two_on_one_number();
  journal.line("shared", "A.one",
               R"(,"protocol":"tcp","state":"LISTEN","local":"127.0.0.1:1234","cookie":"1")");
  EXPECT_THAT(text_of(journal), Not(HasSubstr("does not know")));
}

TEST(Report, SaysWhatToDoReadyToPaste) {
  const std::string text = text_of(two_on_one_number());
  EXPECT_THAT(text, HasSubstr("       tidewait_discover_tests(net_tests FIXED_PORTS 1234)\n"
                              "       tidewait_discover_tests(web_tests FIXED_PORTS 1234)\n"));
  EXPECT_THAT(text, HasSubstr("Lease a port instead of binding 1234/tcp in A.one and B.two"));
  EXPECT_THAT(text, HasSubstr("// now at server.cpp:12"));
}

TEST(Report, EstimatesWhatItWins) {
  const json advice = report_of(two_on_one_number())["advice"];
  EXPECT_EQ(advice["jobs"], 8);
  EXPECT_NEAR(advice["serial_seconds"], 1.504, 0.01);
  EXPECT_NEAR(advice["locked_seconds"], 1.504, 0.01) << "they never run at once";
  EXPECT_NEAR(advice["free_seconds"], 1.002, 0.01);
  EXPECT_THAT(text_of(two_on_one_number()), HasSubstr("estimates"));
}

TEST(Report, PortsThatTheKernelChoseOrThatAreLeasedCollideWithNothing) {
  journal_text journal;
  for (const char* test : {"A.one", "B.two"}) {
    journal.process(10, test).begin(test);
    journal.bound(test, "127.0.0.1:40000", 1, R"(,"kernel_chose_port":1)");
    journal.line("leased", test, R"(,"protocol":"tcp","port":25000,"place":"x.cpp:1")");
    journal.bound(test, "127.0.0.1:25000", 2).end(test);
  }
  const json report = report_of(journal);
  EXPECT_FALSE(report["tables"].contains("collisions"));
  EXPECT_EQ(report["tables"]["leases"].size(), 2U);
  EXPECT_EQ(report["tables"]["ephemeral"].size(), 2U);
}

TEST(Report, ATestWithANetworkOfItsOwnCollidesWithNothing) {
  journal_text journal;
  for (const char* test : {"A.one", "B.two", "C.three"}) {
    journal.process(10, test).net(test).begin(test).bound(test, "127.0.0.1:1234", 1).end(test);
  }
  EXPECT_FALSE(report_of(journal)["tables"].contains("collisions"));
  journal.net("1");
  for (const char* test : {"D.four", "E.five"})
    journal.process(10, test).begin(test).bound(test, "127.0.0.1:1234", 9).end(test);
  EXPECT_EQ(report_of(journal)["tables"]["collisions"][0]["who"],
            "D.four and E.five; 3 more in a network namespace of their own");
}

TEST(Report, SaysWhoHeldThePortOfABindThatFailed) {
  journal_text journal;
  journal.process(10, "a").begin("A.holds").bound("A.holds", "0.0.0.0:1234", 1);
  journal.process(20, "b").begin("B.fails").bind_failed("B.fails", "127.0.0.1:1234");
  journal.bind_failed("B.fails", "127.0.0.1:99", R"x(,"held_by":"sshd (pid 7)")x");
  journal.bind_failed("B.fails", "127.0.0.1:98").end("B.fails");
  journal.process(10, "a").end("A.holds");
  const json rows = report_of(journal)["tables"]["failed_binds"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0]["port"], "127.0.0.1:1234/tcp");
  EXPECT_EQ(rows[0]["held_by"], "A.holds");
  EXPECT_EQ(rows[0]["error"], "EADDRINUSE");
  EXPECT_EQ(rows[1]["held_by"], "not known") << "nothing is invented";
  EXPECT_EQ(rows[2]["held_by"], "sshd (pid 7)");
}

TEST(Report, FindsPortsThatWereSharedSilently) {
  journal_text journal;
  const std::string shared = R"(,"reuse_port":1)";
  journal.process(10, "a").begin("A.one").bound("A.one", "0.0.0.0:40001", 1, shared);
  journal.process(20, "b").begin("B.two").bound("B.two", "127.0.0.1:40001", 2, shared);
  journal.bound("B.two", "127.0.0.1:40002", 3, shared).end("B.two");
  journal.process(10, "a").end("A.one");
  journal.process(30, "c").begin("C.late").bound("C.late", "127.0.0.1:40001", 4, shared);
  journal.end("C.late");
  const json rows = report_of(journal)["tables"]["shared"];
  ASSERT_EQ(rows.size(), 1U) << rows;
  EXPECT_EQ(rows[0]["test"], "A.one");
  EXPECT_EQ(rows[0]["other"], "B.two");
}

TEST(Report, ListsWhatTestsLeft) {
  journal_text journal;
  journal.begin("A.leaks").bound("A.leaks", "127.0.0.1:1234", 1);
  journal.left("A.leaks", "127.0.0.1:1234", 1, "LISTEN", R"(,"reported":1)").end("A.leaks");
  const json row = report_of(journal)["tables"]["left_behind"][0];
  EXPECT_EQ(row["test"], "A.leaks");
  EXPECT_EQ(row["state"], "LISTEN");
  EXPECT_EQ(row["failed"], "yes");
  EXPECT_EQ(row["place"], "server.cpp:12") << "of its bind";
}

TEST(Report, TellsTimeWaitsThatBlockFromHarmlessOnes) {
  journal_text journal;
  const auto test = [&](const char* name, const std::string& where, const std::string& options) {
    journal.begin(name).bound(name, where, 1, options);
    journal.left(name, where, 99, "TIME_WAIT").end(name);
  };
  test("A.blocks", "127.0.0.1:1234", "");
  test("B.reuses", "127.0.0.1:1235", R"(,"reuse_address":1)");
  test("C.ephemeral", "127.0.0.1:40000", R"(,"kernel_chose_port":1)");
  journal.begin("D.unseen").left("D.unseen", "127.0.0.1:1236", 98, "TIME_WAIT").end("D.unseen");
  const json report = report_of(journal);
  std::vector<std::string> verdicts;
  for (const json& each : report["tables"]["time_waits"])
    verdicts.push_back(each["test"].get<std::string>() + ' ' + each["blocks"].get<std::string>());
  EXPECT_THAT(verdicts,
              testing::ElementsAre("A.blocks yes", "B.reuses no", "C.ephemeral no", "D.unseen ?"));
}

TEST(Report, ListsTestsThatAreOpenToTheNetwork) {
  journal_text journal;
  journal.begin("A.open").bound("A.open", "[::]:1234", 1).end("A.open");
  journal.begin("B.closed").bound("B.closed", "[::1]:1235", 2).end("B.closed");
  const json rows = report_of(journal)["tables"]["wildcards"];
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["test"], "A.open");
}

TEST(Report, ListsShutdownsThatTookLong) {
  journal_text journal;
  journal.begin("A.slow").end("A.slow", R"(,"waited":250)").begin("B.quick").end("B.quick");
  EXPECT_THAT(text_of(journal), AllOf(HasSubstr("A.slow  250 ms"), Not(HasSubstr("B.quick"))));
}

TEST(Report, ATestThatNeverEndedIsSaid) {
  journal_text journal;
  journal.begin("the program").begin("A.crashes").bound("A.crashes", "127.0.0.1:1234", 1);
  const json rows = report_of(journal)["tables"]["unended"];
  ASSERT_EQ(rows.size(), 1U) << "the program is around it";
  EXPECT_EQ(rows[0]["test"], "A.crashes");
}

TEST(Report, ATestAndItsLauncherAreOneTest) {
  journal_text journal;
  journal.process(10, "launcher").begin("A.one").process(11, "test").begin("A.one").pass(100);
  journal.process(10, "launcher").bound("A.one", "127.0.0.1:1234", 1);
  journal.process(11, "test").end("A.one").process(10, "launcher").pass(50).end("A.one");
  const json report = report_of(journal);
  ASSERT_EQ(report["tests"].size(), 1U) << report["tests"];
  EXPECT_EQ(report["tests"][0]["pid"], 11);
  EXPECT_NEAR(report["tests"][0]["seconds"], 0.102, 0.001);
  EXPECT_FALSE(report["tables"].contains("unended"));
}

TEST(Report, ABindThatTheRoundingOfItsTimeMovesBeforeItsTestIsTheTests) {
  journal_text journal;
  journal.bound("A.one", "127.0.0.1:1234", 1).begin("the program").begin("A.one").pass(20);
  journal.end("A.one").end("the program").pass(100);
  journal.process(11, "next").begin("A.one").end("A.one");
  const json report = report_of(journal);
  ASSERT_EQ(report["tests"].size(), 2U) << report["tests"];
  EXPECT_NEAR(report["tests"][0]["seconds"], 0.023, 0.002);
}

TEST(Report, FailsOnWhatIsAsked) {
  const own_file file{two_on_one_number()};
  const auto status = [&](const std::string& kinds) {
    return tidewait_command({"report", file.path(), "--fail-on", kinds}).status;
  };
  EXPECT_EQ(status("collision"), 1);
  EXPECT_EQ(status("shared,wildcard"), 1) << "B.two listens on 0.0.0.0";
  EXPECT_EQ(status("shared,blocking"), 0);
  EXPECT_EQ(status("everything"), 2);
  EXPECT_EQ(status("new"), 2) << "compared with what?";
}

TEST(Report, ComparesTwoRuns) {
  const own_file before{two_on_one_number()};
  journal_text now;
  now.process(11, "c").begin("A.one").bound("A.one", "127.0.0.1:1234", 1).end("A.one");
  now.left("A.one", "127.0.0.1:1234", 1).end("A.one");
  const own_file after{now};
  const run_result result =
      tidewait_command({"report", "--compare", before.path(), after.path(), "--fail-on", "new"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, HasSubstr("New: 1\n  + A.one left 1 socket in LISTEN on"));
  EXPECT_THAT(result.out, HasSubstr("- 2 tests bind 1234/tcp: A.one and B.two"));
  EXPECT_EQ(
      tidewait_command({"report", "--compare", before.path(), before.path(), "--fail-on", "new"})
          .status,
      0);
}

TEST(Report, WritesJUnit) {
  const own_file file{two_on_one_number()};
  const own_file junit;
  EXPECT_EQ(tidewait_command({"report", file.path(), "--junit", junit.path()}).status, 0);
  EXPECT_THAT(junit.read(),
              AllOf(HasSubstr(R"(<testsuite name="tidewait report" tests="2" failures="2")"),
                    HasSubstr(R"(<testcase classname="tidewait" name="A.one" time="1.002">)"),
                    HasSubstr(R"(<failure type="collision" message="2 tests bind 1234/tcp)")));
}

TEST(Report, ReadsSeveralMachines) {
  journal_text other{"elsewhere", "boot-2"};
  other.process(10, "x").begin("B.two").bound("B.two", "127.0.0.1:1234", 1).end("B.two");
  journal_text here;
  here.process(10, "a").begin("A.one").bound("A.one", "127.0.0.1:1234", 1).pass(100).end("A.one");
  const own_file first{here};
  const own_file second{other};
  const run_result result = tidewait_command({"report", first.path(), second.path()});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("on 2 machines"));
  EXPECT_THAT(result.out, HasSubstr("nothing says how far their clocks differ"));
  EXPECT_THAT(result.out, HasSubstr("1234/tcp  2      0             0"))
      << "not at once: it is another machine";
}

TEST(Report, TakesTheJournalOfTheEnvironment) {
  const own_file file{two_on_one_number()};
  EXPECT_EQ(tidewait_command({"report"}, {{"TIDEWAIT_JOURNAL=" + file.path()}}).status, 0);
  const run_result none = tidewait_command({"report"}, {{"TIDEWAIT_JOURNAL="}});
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("no journal: name the file"));
}

}  // namespace
