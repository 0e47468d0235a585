// SPDX-License-Identifier: BSL-1.0
//
// The command, as a program of its own.

#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>

#include "child.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(WindowsCommand, WhyNamesTheHolderAndEndsWithOne) {
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const outcome why = tidewait_with("why " + port);
  EXPECT_EQ(why.exit_code, 1) << why.output;
  EXPECT_THAT(why.output, AllOf(HasSubstr("127.0.0.1:" + port + " is in use"),
                                HasSubstr("pid " + std::to_string(server.pid()) +
                                          " (subject_server.exe) is listening")));
}

TEST(WindowsCommand, ListShowsOnePortWithItsHolder) {
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const outcome list = tidewait_with("list --port " + port);
  EXPECT_EQ(list.exit_code, 0) << list.output;
  EXPECT_THAT(list.output,
              AllOf(ContainsRegex("tcp +- +- +127.0.0.1:" + port + " +- +LISTEN +- +" +
                                  std::to_string(server.pid()) + "/subject_server.exe"),
                    HasSubstr("tidewait list: bound sockets not visible")));
}

TEST(WindowsCommand, LeaseRunsACommandWithAPortAndEndsAsItEnds) {
  const outcome good = tidewait_with("lease -- tidewait.exe why {port:0}");
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_THAT(good.output, AllOf(HasSubstr("is free"), HasSubstr("leased by: pid "),
                                 HasSubstr("(tidewait.exe)")));
  const outcome bad = tidewait_with("lease -- tidewait.exe why \"no port\"");
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.output, HasSubstr("'no port'"));
}

TEST(WindowsCommand, LeaseSaysThatThereIsNoSuchCommand) {
  const outcome none = tidewait_with("lease -- no-such-command.exe");
  EXPECT_EQ(none.exit_code, 127) << none.output;
  EXPECT_THAT(none.output, HasSubstr("cannot run 'no-such-command.exe'"));
}

TEST(WindowsCommand, DoctorFindsWhatItLeftAndSaysWhatIsNotThere) {
  const outcome doctor = tidewait_with("doctor");
  EXPECT_EQ(doctor.exit_code, 0) << doctor.output;
  EXPECT_THAT(doctor.output,
              AllOf(HasSubstr("ok      a listener"),
                    HasSubstr("ok      a bound socket that does not listen"),
                    HasSubstr("ok      a UDP socket"), HasSubstr("ok      a TIME_WAIT"),
                    HasSubstr("not on Windows:"), HasSubstr("tidewait run")));
}

TEST(WindowsCommand, GateIsNotThereAndSaysWhatToUse) {
  const outcome gate = tidewait_with("gate begin");
  EXPECT_EQ(gate.exit_code, 2) << gate.output;
  EXPECT_THAT(gate.output, HasSubstr("Not on Windows: put `tidewait run` before the test run"));
  EXPECT_THAT(tidewait_with("--help").output, ContainsRegex("gate +Not on Windows: "));
}

TEST(WindowsCommand, ReportReadsAJournal) {
  const char* const journal = "report_journal.jsonl";
  const char* const page = "report_page.html";
  ::DeleteFileA(journal);
  ::SetEnvironmentVariableA("TIDEWAIT_JOURNAL", journal);
  child test{"subject_gtest.exe", "--gtest_filter=Fixture.LeavesAListener"};
  ::SetEnvironmentVariableA("TIDEWAIT_JOURNAL", nullptr);
  test.end_input();
  const std::string said = test.read_all();
  EXPECT_NE(test.exit_code(), 0) << said;
  // As a witness on Linux writes it: its EADDRINUSE is another number than that of Windows.
  std::ofstream{journal, std::ios::app | std::ios::binary}
      << R"({"journal":1,"event":"bind_failed","test":"Port.Fails","ctest":"","protocol":"tcp",)"
         R"("asked":"127.0.0.1:4711","error":98,"cookie":"0","count":1,"namespace":"1","pid":7,)"
         R"("run":"r","time":1700000000000,"host":"linux","boot":"b","uptime":1000000})"
      << '\n';
  const outcome report =
      tidewait_with(std::string{"report "} + journal + " --fail-on left_behind --html " + page);
  EXPECT_EQ(report.exit_code, 1) << report.output;
  EXPECT_THAT(report.output, AllOf(HasSubstr("Fixture.LeavesAListener"), HasSubstr("EADDRINUSE")));
  std::ifstream written{page};
  const std::string text{std::istreambuf_iterator<char>{written}, {}};
  written.close();
  EXPECT_THAT(text, HasSubstr("Fixture.LeavesAListener"));
  ::DeleteFileA(journal);
  ::DeleteFileA(page);
  EXPECT_EQ(tidewait_with("report no_such_journal.jsonl").exit_code, 3);
}

TEST(WindowsCommand, PolicyChecksRules) {
  EXPECT_EQ(tidewait_with("policy check time_wait+port=8080").exit_code, 0);
  EXPECT_EQ(tidewait_with("policy check nonsense").exit_code, 2);
}

}  // namespace
