// SPDX-License-Identifier: BSL-1.0
//
// `tidewait run`, which keeps what it starts in a job.

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/tidewait.hpp>

#include "child.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

outcome run(const std::string& arguments) { return tidewait_with("run " + arguments); }

std::string text_of(const char* path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void end(int pid) {
  const HANDLE process =
      ::OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, static_cast<DWORD>(pid));
  EXPECT_NE(::TerminateProcess(process, 1), 0);
  ::WaitForSingleObject(process, INFINITE);
  ::CloseHandle(process);
}

TEST(WindowsRun, EndsAsTheCommandEnds) {
  const outcome good = run("-- tidewait.exe --version");
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_THAT(good.output, Not(HasSubstr("tidewait:")));
  EXPECT_EQ(run("-- tidewait.exe policy check nonsense").exit_code, 2);
  EXPECT_EQ(run("--success-codes 2 -- tidewait.exe policy check nonsense").exit_code, 2);
}

TEST(WindowsRun, FailsForAProcessThatIsLeftAndEndsIt) {
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  const outcome left = run("--max-wait 500ms -- subject_server.exe start " + number);
  EXPECT_EQ(left.exit_code, 97) << left.output;
  EXPECT_THAT(left.output, AllOf(HasSubstr("left 1 process running: subject_server.exe"),
                                 HasSubstr("127.0.0.1:" + number)));
  EXPECT_FALSE(tidewait::probe_port(tidewait::protocol::tcp, port.number()));
}

TEST(WindowsRun, LetsRunOnWhomThePolicyTolerates) {
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  const outcome left =
      run("--tolerate owner=subject_server.exe -- subject_server.exe start " + number);
  EXPECT_EQ(left.exit_code, 0) << left.output;
  const auto [why, seen] = tidewait::explain_port(tidewait::protocol::tcp, port.number());
  ASSERT_EQ(why.conflicting.size(), 1U) << render(why, seen);
  ASSERT_EQ(why.conflicting.front().owners.size(), 1U) << render(why, seen);
  end(why.conflicting.front().owners.front().pid);
  // Wine closes the sockets of a process after its end.
  const auto after =
      tidewait::wait_until_free(tidewait::protocol::tcp, port.number(), std::chrono::seconds{10});
  EXPECT_TRUE(after.free()) << render(after.why, after.seen);
}

TEST(WindowsRun, LeasesPortsForTheCommand) {
  const outcome leased = run("--ports 1 -- tidewait.exe why {port:0}");
  EXPECT_EQ(leased.exit_code, 0) << leased.output;
  EXPECT_THAT(leased.output, AllOf(HasSubstr("is free"), HasSubstr("leased by: pid ")));
}

TEST(WindowsRun, SaysThatThereIsNoSuchCommand) {
  const outcome none = run("-- no-such-command.exe");
  EXPECT_EQ(none.exit_code, 127) << none.output;
  EXPECT_THAT(none.output, HasSubstr("cannot run no-such-command.exe"));
}

TEST(WindowsRun, DoesNotRunWhatItCannotIsolateOrWitness) {
  const outcome alone = run("--isolate=require -- tidewait.exe --version");
  EXPECT_EQ(alone.exit_code, 3) << alone.output;
  EXPECT_THAT(alone.output, AllOf(HasSubstr("was not run"), HasSubstr("no network namespace")));
  const outcome seen = run("--witness=require -- tidewait.exe --version");
  EXPECT_EQ(seen.exit_code, 3) << seen.output;
  EXPECT_THAT(seen.output, HasSubstr("its binds cannot be witnessed"));
  // A rule that nobody can check is not kept.
  EXPECT_EQ(run("--tolerate fail:bind_failed -- tidewait.exe --version").exit_code, 3);
}

TEST(WindowsRun, CanEndLikeACrashSoThatCTestCannotOverruleIt) {
  const tidewait::port_lease port = tidewait::lease_port();
  const outcome left = run("--abort -- subject_server.exe start " + std::to_string(port.number()));
  EXPECT_EQ(static_cast<unsigned>(left.exit_code) >> 28U, 0xcU) << left.output;
}

TEST(WindowsRun, WritesItsReport) {
  const char* const path = "run_report.json";
  const outcome ran =
      run(std::string{"--json "} + path + " --name Suite.Test -- tidewait.exe --version");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  const std::string text = text_of(path);
  ::DeleteFileA(path);
  EXPECT_THAT(text, AllOf(HasSubstr("\"name\": \"Suite.Test\""), HasSubstr("\"clean\": true"),
                          HasSubstr("Windows does not show the binds")));
}

TEST(WindowsRun, NamesTheProgramInTheJournal) {
  const char* const path = "run_journal.jsonl";
  ::DeleteFileA(path);
  char own[1024];
  ::GetModuleFileNameA(nullptr, own, sizeof own);
  std::string program{own};
  program.replace(program.find_last_of('\\') + 1, std::string::npos, "tidewait.exe");
  const outcome ran = run(std::string{"--journal "} + path + " -- " + program + " --version");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  const std::string text = text_of(path);
  ::DeleteFileA(path);
  EXPECT_THAT(text, HasSubstr(R"(,"launched":"tidewait.exe",)"));
}

TEST(WindowsRun, SumsUpItsTests) {
  const outcome ran = run("-- subject_gtest.exe --gtest_filter=*.LeavesAListener");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("tidewait: looked after 2 tests: 2 left something behind"),
                    HasSubstr("tidewait known record -- COMMAND")));
}

TEST(WindowsKnown, RecordsWhatTestsLeaveAndRemovesWhatNoTestLeaves) {
  const char* const file = "known_ports.txt";
  ::DeleteFileA(file);
  const std::string all = " -- subject_gtest.exe --gtest_filter=Fixture.*";
  const outcome recorded = tidewait_with(std::string{"known record --file "} + file + all);
  EXPECT_EQ(recorded.exit_code, 0) << recorded.output;
  EXPECT_THAT(recorded.output, HasSubstr("recorded 1 new rule in known_ports.txt"));
  EXPECT_THAT(text_of(file), HasSubstr("\nlisten+test=Fixture.LeavesAListener\n"));

  std::ofstream{file, std::ios::app} << "listen+test=Fixture.ClosesItsListener\n";
  ::SetEnvironmentVariableA("TIDEWAIT_POLICY", "@known_ports.txt");
  const outcome strict = run("--strict" + all);
  EXPECT_EQ(strict.exit_code, 97) << strict.output;
  EXPECT_THAT(strict.output, HasSubstr("fixed: remove line 4 of known_ports.txt: "
                                       "listen+test=Fixture.ClosesItsListener"));
  EXPECT_EQ(tidewait_with("known prune" + all).exit_code, 0);
  ::SetEnvironmentVariableA("TIDEWAIT_POLICY", nullptr);
  EXPECT_THAT(text_of(file), AllOf(HasSubstr("test=Fixture.LeavesAListener"),
                                   Not(HasSubstr("ClosesItsListener"))));
  ::DeleteFileA(file);
}

}  // namespace
