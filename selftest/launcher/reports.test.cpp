// SPDX-License-Identifier: BSL-1.0
//
// Reports, the journal and the exit code.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

TEST(Run, KeepsInTheJournalWhoLeftASocketSoThatALaterConflictNamesIt) {
  SKIP_WITHOUT("python3");
  const directory files;
  const std::string journal = files / "journal";
  const outcome left =
      run(wrapped({"--journal", journal, "--keep-orphans", "--ports", "1"},
                  {"python3", "-c",
                   "import os, socket, time; s = socket.create_server(('127.0.0.1', {port:0})); "
                   "pid = os.fork(); print(pid, {port:0}, flush=True) if pid else (os.close(1), "
                   "os.close(2), time.sleep(30))"}),
          {"TIDEWAIT_TEST=smoke"});
  EXPECT_EQ(left.status, 97) << left.err;
  const std::string port = left.out.substr(std::min(left.out.size(), left.out.find(' ') + 1));
  const outcome why =
      run({program_path, "why", port.substr(0, port.find('\n'))}, {"TIDEWAIT_JOURNAL=" + journal});
  EXPECT_THAT(why.out, HasSubstr("  left by: smoke, an earlier test\n")) << why.err;
  EXPECT_TRUE(end_process(left.out)) << left.out;
}

TEST(Run, WritesIntoTheJournalWhichProgramItStarts) {
  const directory files;
  const std::string journal = files / "journal";
  const std::string directory_with_space = files / "my tests";
  const std::string program = directory_with_space + "/true";
  ASSERT_EQ(::mkdir(directory_with_space.c_str(), 0700), 0);
  ASSERT_EQ(::symlink("/bin/true", program.c_str()), 0);
  EXPECT_EQ(run(wrapped({"--journal", journal}, {program})).status, 0);
  EXPECT_THAT(run({"cat", journal}).out, HasSubstr(R"(,"launched":"true",)"));
}

TEST(Run, ASocketThatATestInsideHasReportedIsNotReportedOnceMore) {
  const directory there;
  const std::string test =
      std::string{SELFTEST_GTEST_SUBJECT} + " --gtest_filter=Subject.LeavesTimeWait ";
  SKIP_WITHOUT_ISOLATION();  // there a TIME_WAIT is the command's for certain
  const words options{"--isolate", "--journal", there / "journal", "--json", there / "r.json"};
  const outcome failed = run_shell(options, test);
  EXPECT_EQ(failed.status, 1);
  const std::string all = failed.out + failed.err;
  EXPECT_EQ(count_of("left 1 socket behind", failed.out), 1U) << all;
  EXPECT_EQ(count_of("left 1 socket behind", failed.err), 0U) << all;
  EXPECT_THAT(failed.err, HasSubstr(": what Subject.LeavesTimeWait has reported on 127.0.0.1:"));
  EXPECT_THAT(all, Not(HasSubstr("an earlier test")));
  const std::string json = run({"cat", there / "r.json"}).out;
  EXPECT_THAT(json, AllOf(HasSubstr("\"leaks\": 1,"), HasSubstr("\"findings\": [],"),
                          HasSubstr("\"test\": \"Subject.LeavesTimeWait\"")));
  // It still counts where nobody has taken notice of the test's failure.
  EXPECT_EQ(run_shell(options, test + "; exit 0").status, 97);
  EXPECT_EQ(run_shell({"--isolate", "--journal", there / "journal", "--abort"}, test).status,
            128 + SIGABRT);
}

TEST(Run, NamesTheRunningTestToOthersThatWantItsPortAndNotToItself) {
  SKIP_WITHOUT("python3");
  const directory files;
  const std::string journal = files / "journal";
  running test{wrapped({"--journal", journal, "--ports", "1"},
                       python("import os, signal, socket, subprocess, time\n"
                              "s = socket.create_server(('127.0.0.1', {port:0}))\n"
                              "journal = os.environ['TIDEWAIT_JOURNAL']\n"
                              "while not os.path.exists(journal) or "
                              "':{port:0}' not in open(journal).read():\n"
                              "  time.sleep(0.01)\n"
                              "subprocess.run(['" +
                              std::string{program_path} +
                              "', 'why', '{port:0}'])\n"
                              "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
                              "print('port {port:0} ', flush=True)\n"
                              "signal.pause()\n")),
               {{"TIDEWAIT_TEST=holder"}}};
  ASSERT_TRUE(test.says("\nport ")) << test.out();
  EXPECT_THAT(test.out(), HasSubstr("is listening on"));
  EXPECT_THAT(test.out(), Not(HasSubstr("used by")));
  const std::string port = test.out().substr(test.out().find("\nport ") + 6);
  const std::string number = port.substr(0, port.find(' '));
  EXPECT_THAT(run({program_path, "why", number}, {"TIDEWAIT_JOURNAL=" + journal}).out,
              HasSubstr("  used by: holder, another test\n"));
  EXPECT_THAT(run({program_path, "why", number}).out,
              HasSubstr("  used by: holder, another test\n"))
      << "by its environment";
  EXPECT_THAT(run({program_path, "why", number, "--json"}, {"TIDEWAIT_JOURNAL=" + journal}).out,
              ContainsRegex("\"test\": \\{\n +\"name\": \"holder\",\n +\"left_behind\": false\n"));
  ::kill(test.pid(), SIGTERM);
  EXPECT_EQ(test.finish().status, 0);
}

TEST(Run, ListsWhatWasToleratedIfAsked) {
  const outcome left =
      run_shell({"--tolerate", "audit,owner=sleep,listen"}, "sleep 1000 >/dev/null 2>&1 & echo $!");
  EXPECT_TRUE(end_process(left.out)) << left.out;
  EXPECT_EQ(left.status, 0);
  EXPECT_THAT(left.err, MatchesRegex("tidewait: 1 rule let 1 finding pass\n"
                                     "  fixed: this rule can go: listen\n"
                                     "tidewait: what the policies of this program let pass\n"
                                     "  owner=sleep: pid [0-9]+\n"
                                     "  listen: nothing\n"));
}

TEST(Run, WritesJsonAndJUnit) {
  const directory there;
  const outcome left =
      run_shell({"--name", "a <test>", "--json", there / "r.json", "--junit", there / "r.xml"},
                "sleep 1000 & exit 0");
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, StartsWith("tidewait: a <test>: left 1 process running: sleep\n"));
  const outcome json = run(python("import json; r = json.load(open('" + there / "r.json" +
                                  "')); print(r['name'], r['clean'], r['leaks'], r['exit_code'], "
                                  "r['processes'][0]['name'])"));
  EXPECT_EQ(json.out, "a <test> False 1 0 sleep\n") << json.err;
  const outcome xml =
      run(python("import xml.etree.ElementTree as e; s = e.parse('" + there / "r.xml" +
                 "').getroot()[0]; c = s[0]; print(s.get('failures'), "
                 "c.get('name'), c[0].get('message'))"));
  EXPECT_EQ(xml.out, "1 a <test> tidewait: a <test>: left 1 process running: sleep\n") << xml.err;
  EXPECT_EQ(run({"ls", there / ""}).out, "r.json\nr.xml\n") << "no half-written file is left";
}

TEST(Run, AReportThatCannotBeWrittenIsAnErrorAndHidesNoVerdict) {
  const outcome full = run_shell({"--json", "/dev/full"}, "exit 0");
  EXPECT_EQ(full.status, 3);
  EXPECT_THAT(full.err, HasSubstr("writing /dev/full: No space left on device"));
  const outcome missing = run_shell({"--junit", "/no/such/directory/r.xml"}, "sleep 1000 & exit 0");
  EXPECT_EQ(missing.status, 97);
  EXPECT_THAT(missing.err,
              AllOf(HasSubstr("left 1 process running"), HasSubstr("/no/such/directory")));
}

TEST(Run, AnnotatesUnderGitHubActions) {
  const outcome left = run_shell({}, "sleep 1000 &", {"GITHUB_ACTIONS=true"});
  EXPECT_THAT(left.err, HasSubstr("\n::error title=tidewait::tidewait: "));
  EXPECT_THAT(left.err, HasSubstr("left 1 process running: sleep%0A"));
  EXPECT_THAT(run_shell({}, "true", {"GITHUB_ACTIONS=true"}).err, IsEmpty());
}

TEST(Run, MeasuresForCTest) {
  const auto measurement = [](const std::string& value) {
    return "<CTestMeasurement type=\"numeric/integer\" name=\"tidewait_leaks\">" + value +
           "</CTestMeasurement>\n";
  };
  EXPECT_EQ(run_shell({"--ctest-measurement"}, "sleep 1000 & sleep 1000 &").out, measurement("2"));
  EXPECT_EQ(run_shell({"--ctest-measurement"}, "true").out, measurement("0"));
  EXPECT_EQ(run_shell({}, "true").out, "");
}

TEST(Run, EndsByASignalIfAskedTo) {
  EXPECT_EQ(run_shell({"--abort"}, "sleep 1000 &").status, 128 + SIGABRT);
  EXPECT_EQ(run_shell({"--abort"}, "sleep 1000 & exit 4").status, 128 + SIGABRT);
  EXPECT_EQ(run_shell({"--abort"}, "exit 4").status, 4);
  const directory there;
  std::ofstream{there / "CTestTestfile.cmake"}
      << "add_test(crashes \"" << program_path << "\" run --abort -- sh -c \"kill -SEGV $$\")\n"
      << "set_tests_properties(crashes PROPERTIES WILL_FAIL ON)\n";
  SKIP_WITHOUT("ctest");
  EXPECT_THAT(run({"ctest", "--test-dir", there / ""}).out, HasSubstr("SEGFAULT"));
}

}  // namespace
