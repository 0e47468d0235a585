// SPDX-License-Identifier: BSL-1.0
#include <sys/resource.h>
#include <sys/stat.h>

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "journal_text.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

run_result report(const std::string& text) {
  const own_file file{text};
  return tidewait_command({"report", file.path()});
}

std::string good_line(const std::string& test = "A.one") {
  return journal_text{}.begin(test).text();
}

TEST(HostileJournal, WithoutALineIsNotClean) {
  const run_result empty = report("");
  EXPECT_EQ(empty.status, 3);
  EXPECT_THAT(empty.err, AllOf(HasSubstr("no journal lines"), HasSubstr("is empty")));
  const run_result foreign = report("hello\nworld\n");
  EXPECT_EQ(foreign.status, 3);
  EXPECT_THAT(foreign.err, HasSubstr("2 lines that no journal has: passed over"));
  const run_result none = tidewait_command({"report", "/nowhere/journal.jsonl"});
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.err, HasSubstr("/nowhere/journal.jsonl cannot be read: No such file"));
}

TEST(HostileJournal, OfAnotherVersionIsRefusedWithASentence) {
  const run_result result = report(R"({"journal":2,"event":"test_begin","test":"A.one"})"
                                   "\n" +
                                   good_line());
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("1 line of version 2 of the format"));
}

TEST(HostileJournal, ATornLineDoesNotTakeTheNextAlong) {
  const std::string line = good_line();
  for (std::size_t length = 1; length + 1 < line.size(); length += 7) {
    const run_result result = report(line.substr(0, length) + good_line("B.two"));
    EXPECT_EQ(result.status, 0) << length;
    EXPECT_THAT(result.out, AllOf(HasSubstr("1 test "), HasSubstr("B.two"))) << length;
    if (length > 20) {
      EXPECT_THAT(result.out, HasSubstr("1 line torn")) << length;
    }
  }
}

TEST(HostileJournal, FieldsThatAreWrongAreNotGuessed) {
  for (const char* wrong :
       {R"("port":70000)", R"("port":"x")", R"("cookie":"12x")", R"("error":-1)",
        R"("local":"nowhere:1")", R"("protocol":"sctp")", R"("state":"ASLEEP")",
        R"("time":99999999999999999999)", R"("pid":-4)", R"("count":0)", R"("uptime":-3)"}) {
    journal_text journal;
    journal.line("bound", "A.one",
                 std::string{R"(,"protocol":"tcp","got":"127.0.0.1:1",)"} + wrong);
    const run_result result = report(journal.text() + good_line("B.two"));
    EXPECT_EQ(result.status, 0) << wrong;
    EXPECT_THAT(result.out, HasSubstr("1 line torn, or with a field")) << wrong;
  }
}

TEST(HostileJournal, BytesThatAreNoTextAreSaid) {
  std::mt19937 random{7};
  std::string noise = good_line();
  for (int i = 0; i < 300000; ++i) noise += static_cast<char>(random());
  const run_result result = report(noise + '\n' + good_line("B.two"));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("that no journal has"), HasSubstr("2 lines\n")));
}

TEST(HostileJournal, ALineWithoutEndIsNotKept) {
  const run_result result =
      report(good_line() + std::string(std::size_t{8} << 20U, 'x') + '\n' + good_line("B.two"));
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("1 line that no journal has"), HasSubstr("2 lines\n")));
}

TEST(HostileJournal, EachTornVariantOfALineIsSurvived) {
  journal_text journal;
  journal.begin("A.one").bound("A.one", "127.0.0.1:1", 1).bind_failed("A.one", "[::1]:2");
  journal.left("A.one", "127.0.0.1:1", 1).end("A.one");
  std::mt19937 random{11};
  for (int round = 0; round < 60; ++round) {
    std::string text = journal.text();
    for (int i = 0; i < 12; ++i) text[random() % text.size()] = static_cast<char>(random());
    EXPECT_THAT(report(text).status, testing::AnyOf(0, 3)) << round;
  }
}

TEST(HostileJournal, WhatIsNoFileIsNotWaitedFor) {
  const std::string pipe = "/tmp/tidewait-report-pipe-" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const run_result result = tidewait_command({"report", pipe});
  ::unlink(pipe.c_str());
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err, HasSubstr("it is not a regular file"));
  EXPECT_THAT(tidewait_command({"report", "/tmp"}).err, HasSubstr("it is not a regular file"));
}

TEST(HostileJournal, NamesSteerNeitherTerminalNorCI) {
  journal_text journal;
  journal.begin("A.\x1b[2J::set-env::x##[error]<CTestMeasurement>").bound("x", "0.0.0.0:1", 1);
  const run_result result = report(journal.text());
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out,
              AllOf(Not(HasSubstr("\x1b[2J")), Not(HasSubstr("##[")), Not(HasSubstr("<CTest"))));
}

TEST(HostileJournal, AClockThatWasSetIsSaidAndMixesNothingUp) {
  journal_text journal;
  journal.begin("A.one").bound("A.one", "127.0.0.1:1234", 1).pass(100).set_clock(-3600000);
  journal.end("A.one").begin("B.two").bound("B.two", "127.0.0.1:1234", 2).pass(50).end("B.two");
  const own_file file{journal};
  const own_file json;
  const run_result result = tidewait_command({"report", file.path(), "--json", json.path()});
  EXPECT_THAT(result.out, HasSubstr("the clock of build was set during the run, by 3600.0 s"));
  const auto tests = nlohmann::json::parse(json.read())["tests"];
  EXPECT_NEAR(tests[0]["seconds"], 0.102, 0.001);
  EXPECT_NEAR(tests[1]["seconds"], 0.052, 0.001);
}

TEST(HostileJournal, APidThatIsUsedAgainIsAnotherProcess) {
  journal_text journal;
  journal.process(10, "a").begin("A.killed").bound("A.killed", "127.0.0.1:1234", 1);
  journal.process(10, "b").begin("B.two").bound("B.two", "127.0.0.1:1235", 2).end("B.two");
  const run_result result = report(journal.text());
  EXPECT_THAT(result.out, HasSubstr("2 tests in 2 processes"));
  EXPECT_THAT(result.out, HasSubstr("Never ended"));
}

TEST(HostileJournal, LinesFromBeforeTheFormatHadAnUptimeAreRead) {
  const run_result result = report(
      R"({"journal":1,"event":"left_behind","test":"A.b","ctest":"net.A.b","protocol":"tcp",)"
      R"("state":"LISTEN","local":"127.0.0.1:1234","cookie":"7","namespace":"1","pid":12,)"
      R"("run":"0123","command":"server","leased_at":"","time":1700000000000})"
      "\n");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("1 line without an uptime"), HasSubstr("net.A.b  LISTEN")));
}

// What is known of each that is open must not be gone through for each that follows.
TEST(HostileJournal, WithManyTestsThatNeverEndIsReadInLittleTime) {
  constexpr int count = 60000;
  journal_text lines;
  lines.process(4711, "run-1");
  for (int i = 0; i < count; ++i) lines.begin("A.t" + std::to_string(i));
  const own_file file{lines.text()};
  run_options how;
  how.prepare = [] {
    constexpr rlim_t seconds_of_processor_time = 20;  // it takes about two
    const rlimit limit{seconds_of_processor_time, seconds_of_processor_time};
    ::setrlimit(RLIMIT_CPU, &limit);
  };
  const run_result result = tidewait_command({"report", file.path()}, how);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("60000 lines"));
}

}  // namespace
