// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// The command goes on as it would alone.

TEST(Run, KeepsTheExitCodeOfTheCommand) {
  EXPECT_EQ(run_shell({}, "exit 0").status, 0);
  EXPECT_EQ(run_shell({}, "exit 7").status, 7);
  EXPECT_EQ(run_shell({}, "kill -KILL $$").status, 137);
}

TEST(Run, SaysNothingOfACleanCommand) {
  const outcome clean = run_shell({}, "echo out; echo err >&2");
  EXPECT_EQ(clean.status, 0);
  EXPECT_EQ(clean.out, "out\n");
  EXPECT_EQ(clean.err, "err\n");
}

TEST(Run, SaysWhyACommandCannotBeStarted) {
  const outcome missing = run(wrapped({}, {"./no-such-program"}));
  EXPECT_EQ(missing.status, 127);
  EXPECT_EQ(missing.err, "tidewait: cannot run ./no-such-program: No such file or directory\n");
  EXPECT_EQ(run(wrapped({}, {"/"})).status, 126);
}

TEST(Run, WithoutACommandIsAUsageError) {
  EXPECT_EQ(run({tidewait, "run"}).status, 2);
  EXPECT_EQ(run(wrapped({"--tolerate", "nonsense"}, {"true"})).status, 2);
}

TEST(Run, PassesArgumentsUntouched) {
  const outcome passed = run(wrapped({}, {"printf", "%s|", "[net]", "--", "a b", "--isolate", ""}));
  EXPECT_EQ(passed.out, "[net]|--|a b|--isolate||");
}

TEST(Run, LeavesSignalDispositionsAndMasksAsTheyWere) {
  const std::string look = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status";
  EXPECT_EQ(run_shell({}, look).out, run(shell(look)).out);
}

TEST(Run, HandsSignalsOn) {
  running command{wrapped({}, shell("trap 'echo got TERM; exit 3' TERM; echo ready; "
                                    "while :; do sleep 0.05; done"))};
  ASSERT_TRUE(command.says("ready"));
  ::kill(command.pid(), SIGTERM);
  const outcome ended = command.finish();
  EXPECT_THAT(ended.out, EndsWith("got TERM\n"));
  EXPECT_EQ(ended.status, 3) << ended.err;
}

// What is left behind.

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
      run({tidewait, "why", port.substr(0, port.find('\n'))}, {"TIDEWAIT_JOURNAL=" + journal});
  EXPECT_THAT(why.out, HasSubstr("  left by: smoke, an earlier test\n")) << why.err;
  EXPECT_TRUE(end_process(left.out)) << left.out;
}

/// How often the text has the words.
std::size_t count_of(const std::string& words, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++count;
  return count;
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
                              std::string{tidewait} +
                              "', 'why', '{port:0}'])\n"
                              "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
                              "print('port {port:0} ', flush=True)\n"
                              "signal.pause()\n")),
               {"TIDEWAIT_TEST=holder"}};
  ASSERT_TRUE(test.says("\nport ")) << test.out();
  EXPECT_THAT(test.out(), HasSubstr("is listening on"));
  EXPECT_THAT(test.out(), Not(HasSubstr("used by")));
  const std::string port = test.out().substr(test.out().find("\nport ") + 6);
  const std::string number = port.substr(0, port.find(' '));
  EXPECT_THAT(run({tidewait, "why", number}, {"TIDEWAIT_JOURNAL=" + journal}).out,
              HasSubstr("  used by: holder, another test\n"));
  EXPECT_THAT(run({tidewait, "why", number}).out, HasSubstr("  used by: holder, another test\n"))
      << "by its environment";
  EXPECT_THAT(run({tidewait, "why", number, "--json"}, {"TIDEWAIT_JOURNAL=" + journal}).out,
              ContainsRegex("\"test\": \\{\n +\"name\": \"holder\",\n +\"left_behind\": false\n"));
  ::kill(test.pid(), SIGTERM);
  EXPECT_EQ(test.finish().status, 0);
}

TEST(Run, ListsWhatWasToleratedIfAsked) {
  const outcome left =
      run_shell({"--tolerate", "audit,owner=sleep,listen"}, "sleep 1000 >/dev/null 2>&1 & echo $!");
  EXPECT_TRUE(end_process(left.out)) << left.out;
  EXPECT_EQ(left.status, 0);
  EXPECT_THAT(left.err, MatchesRegex("tidewait: what the policies of this program let pass\n"
                                     "  owner=sleep: pid [0-9]+\n"
                                     "  listen: nothing, so the rule can go\n"));
}

TEST(Run, AProcessLeftRunningFailsTheRunAndIsEnded) {
  const std::string seconds = unique_seconds();
  const outcome left = run_shell({}, "sleep " + seconds + " &");
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr(": left 1 process running: sleep\n"),
                              HasSubstr("sleep " + seconds), HasSubstr("fix: ")));
  EXPECT_THAT(left.out, IsEmpty());
  EXPECT_FALSE(is_alive(seconds));
}

TEST(Run, WhoIgnoresSigtermIsKilled) {
  const std::string seconds = unique_seconds();
  const outcome left = run_shell({}, "trap '' TERM; setsid sleep " + seconds + " &");
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("tidewait: 1 process ignored SIGTERM and was killed\n"));
  EXPECT_FALSE(is_alive(seconds));
}

TEST(Run, AFailureOfTheCommandIsReportedFirstButNotReplaced) {
  const outcome failed = run_shell({}, "sleep 1000 & exit 5");
  EXPECT_EQ(failed.status, 5);
  EXPECT_THAT(failed.err, HasSubstr("left 1 process running"));
}

TEST(Run, ASkipCodeThatCountsAsSuccessGivesWayToTheVerdict) {
  EXPECT_EQ(run_shell({"--success-codes", "4,77"}, "sleep 1000 & exit 77").status, 97);
  EXPECT_EQ(run_shell({"--success-codes", "4,77"}, "exit 77").status, 77);
}

TEST(Run, AProcessThatEndsSoonIsNoLeak) {
  const outcome soon = run_shell({"--max-wait", "20s"}, "sleep 0.3 &");
  EXPECT_EQ(soon.status, 0);
  EXPECT_THAT(soon.err, IsEmpty());
}

TEST(Run, AToleratedProcessStaysAliveAndUnreported) {
  const std::string seconds = unique_seconds();
  const outcome tolerated =
      run_shell({"--tolerate", "owner=sleep"}, "sleep " + seconds +
                                                   " >/dev/null 2>&1 & echo $!; "
                                                   "tail -f /dev/null >/dev/null 2>&1 &");
  EXPECT_EQ(tolerated.status, 97);
  EXPECT_THAT(tolerated.err, HasSubstr("left 1 process running: tail\n"));
  EXPECT_TRUE(is_alive(seconds));
  ASSERT_TRUE(end_process(tolerated.out));
  const outcome quiet =
      run_shell({"--tolerate", "owner=sleep"}, "sleep 1000 >/dev/null 2>&1 & echo $!");
  EXPECT_TRUE(end_process(quiet.out)) << quiet.out;
  EXPECT_EQ(quiet.status, 0);
  EXPECT_THAT(quiet.err, IsEmpty());
}

TEST(Run, ManyProcessesAreCountedAndAllEnded) {
  const std::string seconds = unique_seconds();
  const outcome many = run_shell({"--max-wait", "0"}, "i=0; while [ $i -lt 1000 ]; do sleep " +
                                                          seconds + " & i=$((i+1)); done");
  EXPECT_EQ(many.status, 97);
  // The last ones may not have come to their exec yet, and then are still called sh.
  EXPECT_THAT(many.err, AllOf(ContainsRegex("left 1000 processes running: (sh, )?sleep(, sh)?\n"),
                              HasSubstr("and 993 more\n")));
  EXPECT_FALSE(is_alive(seconds));
}

TEST(Run, ABoundAndAUdpSocketOfAProcessLeftRunningAreReported) {
  const outcome left = run(wrapped({}, python(R"(
import os, socket, time
bound = socket.socket(); bound.bind(('127.0.0.1', 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.1', 0))
if os.fork() == 0: time.sleep(1000)
)")));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("\n  UDP "), HasSubstr("left 2 sockets behind on "),
                              HasSubstr("--tolerate unconn")));
  if (left.err.find("bound sockets not visible") == std::string::npos) {
    EXPECT_THAT(left.err, HasSubstr("\n  BOUND "));
  }
}

TEST(Run, AListenerOfAProcessLeftRunningIsReportedAsAnOrphans) {
  SKIP_WITHOUT("redis-server");
  const outcome left =
      run_shell({"--ports", "1"},
                "redis-server --port {port:0} --save '' --daemonize no >/dev/null & "
                "until redis-cli -p {port:0} ping >/dev/null 2>&1; do sleep 0.05; done");
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err,
              AllOf(HasSubstr("\n  LISTEN "),
                    HasSubstr("(redis-server), started in this run, has outlived its parent"),
                    HasSubstr("left 1 process running: redis-server")));
}

TEST(Run, AServerThatIsStoppedLeavesNothing) {
  SKIP_WITHOUT("redis-server");
  const outcome clean = run_shell({"--ports", "1"},
                                  "redis-server --port {port:0} --save '' >/dev/null & "
                                  "until redis-cli -p {port:0} ping >/dev/null 2>&1; do sleep "
                                  "0.05; done; kill $!; wait; exit 0");
  EXPECT_EQ(clean.status, 0) << clean.err;
  EXPECT_THAT(clean.err, IsEmpty());
}

TEST(Run, AKeptOrphanDoesNotHoldTheOutputEither) {
  const std::string seconds = unique_seconds();
  const outcome kept =
      run_shell({"--keep-orphans"}, "echo out; echo err >&2; sleep " + seconds + " & echo $!");
  EXPECT_EQ(kept.status, 97);
  ASSERT_THAT(kept.out, StartsWith("out\n"));
  EXPECT_THAT(kept.err, AllOf(StartsWith("err\n"), HasSubstr("left 1 process running")));
  EXPECT_TRUE(is_alive(seconds));
  ASSERT_TRUE(end_process(kept.out.substr(std::min<std::size_t>(4, kept.out.size()))));
}

TEST(Run, RelaysAllOfALongOutput) {
  const outcome kept = run_shell({"--keep-orphans"}, "seq 200000; seq 200000 >&2");
  EXPECT_EQ(kept.status, 0);
  EXPECT_EQ(kept.out.size(), 1288895U);
  EXPECT_EQ(kept.err.size(), 1288895U);
}

// Test commands of other languages.

TEST(Run, APythonUnittestThatLeavesAServerProcessFails) {
  const std::string test = R"(
import socket, subprocess, sys, time, unittest
class Download(unittest.TestCase):
    def test_index(self):
        server = subprocess.Popen([sys.executable, '-m', 'http.server', '{port:0}', '--bind', '127.0.0.1'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for attempt in range(600):
            if socket.socket().connect_ex(('127.0.0.1', {port:0})) == 0: return
            time.sleep(0.05)
        self.fail('no server')
unittest.main()
)";
  const outcome left = run(wrapped({"--ports", "1"}, python(test)));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err,
              AllOf(HasSubstr("\nOK\n"), HasSubstr("-m http.server"), HasSubstr("LISTEN")));
}

TEST(Run, APythonUnittestThatLeavesAServerThreadFailsForItsTimeWait) {
  const std::string test = R"(
import http.server, threading, unittest, urllib.request
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # without a length the client reads until the server has closed
        self.send_response(200); self.end_headers(); self.wfile.write(b'here')
    def log_message(self, *args): pass
class Download(unittest.TestCase):
    def test_index(self):
        server = http.server.HTTPServer(('127.0.0.1', {port:0}), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urllib.request.urlopen('http://127.0.0.1:{port:0}/').read()
unittest.main()
)";
  const outcome left = run(wrapped({"--ports", "1"}, python(test)));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("\nOK\n"), HasSubstr("\n  TIME_WAIT "),
                              HasSubstr("this side closed the connection first")));
  const outcome tolerated = run(wrapped({"--ports", "1", "--tolerate", "time_wait"}, python(test)));
  EXPECT_EQ(tolerated.status, 0) << tolerated.err;
}

TEST(Run, ANodeTestThatLeavesAServerProcessFails) {
  SKIP_WITHOUT("node");
  const std::string test = R"test(
const { spawn } = require('child_process');
const server = spawn(process.execPath, ['-e',
  "require('http').createServer().listen({port:0}, '127.0.0.1', () => console.log('up'))"],
  { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  server.stdout.once('data', () => process.exit(0));
)test";
  const outcome left = run(wrapped({"--ports", "1"}, {"node", "-e", test}));
  EXPECT_EQ(left.status, 97) << left.err;
  EXPECT_THAT(left.err, AllOf(HasSubstr("LISTEN"), HasSubstr("running: node")));
}

TEST(Run, ANodeTestWhoseServerStaysOpenIsEndedByATimeout) {
  SKIP_WITHOUT("node");
  running command{wrapped({"--ports", "1"}, {"node", "-e",
                                             "require('http').createServer().listen("
                                             "{port:0}, '127.0.0.1', () => console.log('up'))"})};
  ASSERT_TRUE(command.says("up"));
  ::kill(command.pid(), SIGTERM);  // as timeout(1) does
  const outcome ended = command.finish();
  EXPECT_EQ(ended.status, 143);
  EXPECT_THAT(ended.err, IsEmpty());
}

TEST(Run, AMakeOfManyProcessesNamesTheOneThatIsLeft) {
  SKIP_WITHOUT("make");
  const directory there;
  const std::string seconds = unique_seconds();
  std::ofstream{there / "Makefile"} << "test: a b\n\t@echo tested\n"
                                       "a:\n\t@$(MAKE) --no-print-directory c d\n"
                                       "b:\n\t@sh -c 'true & wait'\n"
                                       "c:\n\t@(sleep "
                                    << seconds
                                    << " &)\n"
                                       "d:\n\t@true\n";
  const outcome left = run(wrapped({}, {"make", "-j4", "-C", there / "", "test"}));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.out, HasSubstr("tested\n"));
  EXPECT_THAT(left.err, HasSubstr("sleep " + seconds));
}

// TIME_WAIT and shared ports: what only looking while it runs can tell.

const char* const serve_once = R"(
import socket, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', 8080)); listener.listen()
time.sleep(0.5)
client = socket.create_connection(('127.0.0.1', 8080))
server, _ = listener.accept()
server.close(); client.recv(1); client.close(); listener.close()
)";

TEST(Run, ATimeWaitIsTheCommandsWhereItsTreeListened) {
  SKIP_WITHOUT_ISOLATION();
  // In a network that nobody else uses, but the inner run does not know that.
  words inner = wrapped({}, python(serve_once));
  inner.insert(inner.begin(), {"env", "-u", "TIDEWAIT_PRIVATE_NAMESPACE"});
  const outcome left = run(wrapped({"--isolate", "--tolerate", "time_wait"}, inner));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr(" left 1 socket behind on 127.0.0.1:8080\n"),
                              HasSubstr("\n  TIME_WAIT ")));
}

TEST(Run, AForeignListenerOnTheSameEndpointIsReported) {
  const int theirs = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  ASSERT_EQ(::setsockopt(theirs, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  ASSERT_EQ(::bind(theirs, reinterpret_cast<sockaddr*>(&where), size), 0);
  ASSERT_EQ(::listen(theirs, 1), 0);
  ASSERT_EQ(::getsockname(theirs, reinterpret_cast<sockaddr*>(&where), &size), 0);
  const outcome shared = run(wrapped(
      {}, python("import socket, time\n"
                 "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
                 "s.bind(('127.0.0.1', " +
                 std::to_string(ntohs(where.sin_port)) +
                 ")); s.listen()\n"
                 "time.sleep(2)\n")));
  ::close(theirs);
  EXPECT_EQ(shared.status, 97);
  EXPECT_THAT(shared.err, AllOf(HasSubstr("listen on one port through SO_REUSEPORT"),
                                HasSubstr("pid " + std::to_string(::getpid()))));
}

// Ports.

TEST(Run, LeasesPortsForTheCommand) {
  const outcome ports = run_shell({"--ports", "2"},
                                  "echo {port:0} {port:1} {port:x} "
                                  "$TIDEWAIT_PORT_0 $TIDEWAIT_PORT_1");
  std::istringstream text{ports.out};
  std::string first;
  std::string second;
  std::string braces;
  std::string first_again;
  std::string second_again;
  text >> first >> second >> braces >> first_again >> second_again;
  EXPECT_NE(first, second);
  EXPECT_GE(std::atoi(first.c_str()), 1024);
  EXPECT_EQ(first, first_again);
  EXPECT_EQ(second, second_again);
  EXPECT_EQ(braces, "{port:x}");
  const outcome none = run_shell({"--ports", "1"}, "echo {port:1}");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("1 port is leased, counted from 0"));
}

// Reports.

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
      << "add_test(crashes \"" << tidewait << "\" run --abort -- sh -c \"kill -SEGV $$\")\n"
      << "set_tests_properties(crashes PROPERTIES WILL_FAIL ON)\n";
  SKIP_WITHOUT("ctest");
  EXPECT_THAT(run({"ctest", "--test-dir", there / ""}).out, HasSubstr("SEGFAULT"));
}

// Isolation.

/// `sh`, as a test program that prints its pid and port, asked so.
words asked(const words& options, const words& question) {
  words program{"sh", "-c", "echo $$ ${TIDEWAIT_PORT_0+with a port}; exit 3", "program"};
  program.insert(program.end(), question.begin(), question.end());
  return wrapped(options, program);
}

TEST(Run, BecomesATestProgramThatDiscoveryAsksForItsTests) {
  for (const words& question :
       std::vector<words>{{"--gtest_list_tests"},
                          {"--gtest_list_tests", "--gtest_filter=A.*"},
                          {"--gtest_list_tests", "--gtest_filter=A.*", "--of-the-program"},
                          {"--list-test-names-only"},
                          {"[net]", "~[slow]", "--list-test-names-only"},
                          {"--list-tests", "--verbosity", "quiet"},
                          {"[net]", "--list-tests", "--reporter", "json"},
                          {"--list-tests", "--reporter", "json", "--out", "list.json"},
                          {"--list-reporters"}}) {
    running program{asked({"--discovery", "--isolate=require", "--ports", "1"}, question)};
    const pid_t pid = program.pid();
    const outcome got = program.finish();
    EXPECT_EQ(got.out, std::to_string(pid) + '\n') << testing::PrintToString(question);
    EXPECT_EQ(got.status, 3);
  }
}

TEST(Run, LooksAfterATestThatDiscoveryDoesNotAskFor) {
  for (const words& arguments : std::vector<words>{
           {"--gtest_filter=A.B", "--gtest_also_run_disabled_tests"},
           {"--gtest_filter=A.B", "--gtest_also_run_disabled_tests", "--gtest_list_tests"},
           {"name of a test", "--list-tests", "--durations"},
           {"name of a test", "--list-tests", "--reporter"},
           {"name of a test", "--list-tests=x"},
           {"--list-tags"}}) {
    EXPECT_THAT(run(asked({"--discovery", "--ports", "1"}, arguments)).out,
                EndsWith(" with a port\n"))
        << testing::PrintToString(arguments);
  }
}

TEST(Run, AListingThatAUserAsksForIsRunAsAnyCommand) {
  const directory there;
  for (const char* question : {"--gtest_list_tests", "--list-tests", "--list-test-names-only"}) {
    const std::string file = there / "r.json";
    EXPECT_THAT(run(asked({"--ports", "1", "--json", file}, {question})).out,
                EndsWith(" with a port\n"));
    EXPECT_THAT(run({"cat", file}).out, HasSubstr("\"exit_code\": 3")) << question;
    run({"rm", file});
    EXPECT_EQ(run(wrapped({}, {"sh", "-c", "sleep 1000 &", "program", question})).status, 97);
  }
}

TEST(RunIsolated, ChangesNeitherUserNorFiles) {
  SKIP_WITHOUT_ISOLATION();
  const std::string look =
      "id -u; id -g; umask; pwd; stat -c %u:%g . ; cat /proc/sys/net/ipv4/ip_local_port_range";
  EXPECT_EQ(run_shell({"--isolate=require"}, look).out, run(shell(look)).out);
}

TEST(RunIsolated, HasALoopbackOfItsOwn) {
  SKIP_WITHOUT_ISOLATION();
  const words listens = wrapped({"--isolate=require"}, python(R"(
import socket, sys
sockets = []
for address in '127.0.0.1', '127.0.0.2', '127.1.2.3':
    s = socket.socket(); s.bind((address, 8080)); s.listen(); sockets.append(s)
    socket.create_connection((address, 8080)).close()
print('up', flush=True)
sys.stdin.read()
import time; time.sleep(1)
)"));
  running first{listens};
  running second{listens};
  EXPECT_TRUE(first.says("up"));
  EXPECT_TRUE(second.says("up")) << "the same port at the same time";
  EXPECT_EQ(first.finish().status, 0);
}

TEST(RunIsolated, EndsWhateverIsAliveInside) {
  SKIP_WITHOUT_ISOLATION();
  const std::string seconds = unique_seconds();
  EXPECT_EQ(run_shell({"--isolate"}, "setsid sleep " + seconds + " &").status, 97);
  EXPECT_FALSE(is_alive(seconds));
}

TEST(RunIsolated, NamesTheRuleThatDeniesIt) {
  words command{
      "unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"",
      "sh"};
  if (run({"unshare", "-Ur", "true"}).status != 0) GTEST_SKIP() << "unshare -Ur is denied";
  const auto denied = [&](const char* option) {
    words whole = command;
    for (const std::string& each : wrapped({option}, shell("echo ran"))) whole.push_back(each);
    return run(whole);
  };
  const outcome required = denied("--isolate=require");
  EXPECT_EQ(required.status, 3);
  EXPECT_EQ(required.out, "");
  EXPECT_THAT(required.err, HasSubstr("user.max_net_namespaces=0 forbids"));
  const outcome preferred = denied("--isolate");
  EXPECT_EQ(preferred.status, 0);
  EXPECT_EQ(preferred.out, "ran\n");
  EXPECT_THAT(preferred.err, HasSubstr("warning: not isolated: user.max_net_namespaces=0"));
}

TEST(RunIsolated, RefusesToKeepOrphans) {
  EXPECT_EQ(run(wrapped({"--isolate", "--keep-orphans"}, {"true"})).status, 2);
}

// The end of the launcher itself.

TEST(Run, KillingTheLauncherEndsTheCommandAndItsLease) {
  const std::string seconds = unique_seconds();
  running command{wrapped({"--ports", "1"}, shell("echo {port:0} up; exec sleep " + seconds))};
  ASSERT_TRUE(command.says(" up\n"));
  const std::string lock = "@tidewait/tcp/" + std::to_string(std::atoi(command.out().c_str()));
  const auto is_locked = [&] { return run({"grep", "-qw", lock, "/proc/net/unix"}).status == 0; };
  EXPECT_TRUE(is_locked());
  ::kill(command.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_alive(seconds); }));
  EXPECT_TRUE(eventually([&] { return !is_locked(); })) << lock;
}

TEST(RunIsolated, KillingTheLauncherEndsEverything) {
  SKIP_WITHOUT_ISOLATION();
  const std::string seconds = unique_seconds();
  running command{wrapped({"--isolate"}, shell("setsid sh -c 'echo up; sleep " + seconds +
                                               "; true' & sleep " + seconds))};
  ASSERT_TRUE(command.says("up"));
  ::kill(command.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_alive(seconds); }));
}

TEST(Run, AnOrphanThatHoldsTheOutputDoesNotStallCTest) {
  SKIP_WITHOUT("ctest");
  const directory there;
  const std::string seconds = unique_seconds();
  std::ofstream{there / "CTestTestfile.cmake"}
      << "add_test(holds \"" << tidewait << "\" run -- sh -c \"sleep " << seconds << " &\")\n"
      << "add_test(hangs \"" << tidewait << "\" run -- sh -c \"setsid sleep " << seconds
      << " & sleep " << seconds << "\")\n"
      << "set_tests_properties(hangs PROPERTIES TIMEOUT 2)\n";
  const outcome tests = run({"ctest", "--test-dir", there / "", "--output-on-failure"});
  EXPECT_THAT(tests.out, AllOf(HasSubstr("left 1 process running"), HasSubstr("(Timeout)"),
                               HasSubstr("0% tests passed")));
  EXPECT_TRUE(eventually([&] { return !is_alive(seconds); }));
}

// Where it may find itself.

TEST(Run, NestedInItselfOnlyTheInnerOneReports) {
  const outcome left = run(wrapped({}, wrapped({}, shell("sleep 1000 &"))));
  EXPECT_EQ(left.status, 97);
  EXPECT_EQ(left.err.find("left 1 process"), left.err.rfind("left 1 process")) << left.err;
}

TEST(Run, WorksAsTheFirstProcessOfAContainer) {
  const words in_container{"unshare", "-Urpf", "--mount-proc"};
  if (run({"unshare", "-Urpf", "--mount-proc", "true"}).status != 0) {
    GTEST_SKIP() << "a pid namespace of one's own is denied";
  }
  for (const words& prefix : {in_container, words{"unshare", "-Urpf"}}) {
    words command = prefix;
    for (const auto& each : wrapped({}, shell("(setsid sleep 1000 &) ; exit 0")))
      command.push_back(each);
    const outcome left = run(command);
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, HasSubstr("left 1 process running: sleep"));
  }
}

TEST(Run, WorksWithoutRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: all the other tests show it";
  SKIP_WITHOUT("setpriv");
  words command{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"};
  for (const auto& each : wrapped({"--ports", "1"}, python(R"(
import os, socket, time
s = socket.socket(); s.bind(('127.0.0.1', {port:0})); s.listen()
if os.fork() == 0: time.sleep(1000)
)")))
    command.push_back(each);
  const outcome left = run(command);
  EXPECT_EQ(left.status, 97) << left.err;
  EXPECT_THAT(left.err, AllOf(HasSubstr("LISTEN"), HasSubstr("started in this run")));
}

TEST(Run, WhoIsAliveButCannotBeNamedIsNotCalledClean) {
  const words without_proc{
      "unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"};
  words probe = without_proc;
  probe.emplace_back("true");
  if (run(probe).status != 0) GTEST_SKIP() << "a mount namespace of one's own is denied";
  const std::string seconds = unique_seconds();
  words command = without_proc;
  for (const auto& each : wrapped({}, shell("sleep " + seconds + " &"))) command.push_back(each);
  const outcome left = run(command);
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("could not look: a process is left running"));
  EXPECT_FALSE(is_alive(seconds));
}

// What is hard to see or to end.

/// A file that everything which `unruly` leaves keeps locked. No look at /proc shows that a process
/// which forks and exits on and on is gone; that the lock is free does.
class lock_file {
 public:
  const std::string& path() const { return path_; }
  bool is_free() const {
    const int file = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    const bool locked = file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0;
    ::close(file);
    return locked;
  }

 private:
  directory in_;
  std::string path_ = in_ / "lock";
};

words unruly(const lock_file& lock, const words& ways) {
  words command{SELFTEST_UNRULY, "lock", lock.path()};
  command.insert(command.end(), ways.begin(), ways.end());
  return command;
}

class Unruly : public testing::TestWithParam<const char*> {
 protected:
  lock_file lock;
};

class ForksAndExits : public Unruly {};
INSTANTIATE_TEST_SUITE_P(OnAndOn, ForksAndExits, testing::Values("hop", "hop_sessions"));

TEST_P(ForksAndExits, FailsTheRunAndIsEnded) {
  for (const char* max_wait : {"0ms", "20ms", "250ms"}) {
    const outcome left = run(wrapped({"--max-wait", max_wait}, unruly(lock, {GetParam()})));
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, AllOf(HasSubstr(" running: "), Not(HasSubstr("could not look"))));
    EXPECT_TRUE(lock.is_free()) << left.err;
  }
}

TEST_P(ForksAndExits, IsNotToleratedWithAnother) {
  const std::string seconds = unique_seconds();
  const std::string script = "sleep " + seconds + " >/dev/null 2>&1 & echo $!; exec " +
                             SELFTEST_UNRULY + " lock " + lock.path() + ' ' + GetParam();
  for (const char* max_wait : {"0ms", "50ms"}) {
    const outcome left = run_shell({"--tolerate", "owner=sleep", "--max-wait", max_wait}, script);
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, HasSubstr("unruly"));
    EXPECT_TRUE(lock.is_free()) << left.err;
    EXPECT_EQ(::kill(std::atoi(left.out.c_str()), SIGKILL), 0) << "tolerated, so still there";
  }
}

TEST_P(ForksAndExits, IsEndedInANamespaceOfItsOwn) {
  SKIP_WITHOUT_ISOLATION();
  for (const char* to_keeper : {"kill_keeper", "stop_keeper", "neither"}) {
    const outcome left = run(wrapped({"--isolate=require"}, unruly(lock, {to_keeper, GetParam()})));
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_TRUE(lock.is_free()) << to_keeper << '\n' << left.err;
  }
}

TEST_F(Unruly, AProcessWhoseMainThreadHasEndedIsSeenAndEnded) {
  const outcome left = run(wrapped({}, unruly(lock, {"thread"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("left 1 process running: unruly\n"),
                              Not(HasSubstr("could not look"))));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, AProcessWhoseMainThreadHasEndedAndThatIgnoresSigtermIsKilled) {
  const outcome left = run(wrapped({}, unruly(lock, {"ignore_sigterm", "thread"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("1 process ignored SIGTERM and was killed\n"));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, ACommandLineOfGigabytesIsNotRead) {
  unsigned size = 0;
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) != 0) {
    GTEST_SKIP() << "this kernel has no PR_SET_MM_MAP";
  }
  // The launcher may have 1 GB of addresses, the command any number.
  words command{"sh", "-c", "ulimit -S -v 1000000; exec \"$@\"", "sh"};
  const words inner{"sh", "-c", "ulimit -S -v unlimited; exec \"$@\"", "sh"};
  for (const char* around : {"--isolate=no", "--isolate"}) {
    words all = command;
    words what = inner;
    for (const auto& each : unruly(lock, {"huge"})) what.push_back(each);
    for (const auto& each : wrapped({around}, what)) all.push_back(each);
    const outcome left = run(all);
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, AllOf(HasSubstr("left 1 process running: unruly\n"),
                                HasSubstr("(too large to read)")));
    EXPECT_TRUE(lock.is_free());
  }
}

TEST_F(Unruly, AChildThatHasBecomeAnotherUserIsEndedByRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot become another user";
  const outcome left = run(wrapped({}, unruly(lock, {"as_nobody"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("left 1 process running: unruly\n"));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, WhatMayNotBeEndedIsSaid) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot make a set-user-ID program";
  SKIP_WITHOUT("setpriv");
  const directory place;
  const std::string program = place / "setuid_unruly";
  ASSERT_EQ(run({"cp", SELFTEST_UNRULY, program}).status, 0);
  ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
  ASSERT_EQ(::chmod((place / ".").c_str(), 0755), 0);
  words command{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"};
  for (const auto& each : wrapped({}, {program, "as_root"})) command.push_back(each);
  const outcome left = run(command);
  EXPECT_EQ(left.status, 97) << left.err;
  const std::string cannot_end = "tidewait: cannot end pid ";
  const auto said = left.err.find(cannot_end);
  if (said == std::string::npos) {
    ASSERT_THAT(left.err, HasSubstr(" running: "))
        << "is the directory for temporary files nosuid?";
  }
  ASSERT_NE(said, std::string::npos) << left.err;
  EXPECT_THAT(left.err, AllOf(HasSubstr(": Operation not permitted"), Not(HasSubstr("timed out"))));
  EXPECT_EQ(::kill(std::atoi(left.err.c_str() + said + cannot_end.size()), SIGKILL), 0);
}

TEST_F(Unruly, ACommandThatStopsTheKeeperHoldsNobodyUp) {
  SKIP_WITHOUT_ISOLATION();
  for (const char* way : {"stop_keeper", "kill_keeper"}) {
    const outcome clean = run(wrapped({"--isolate=require"}, unruly(lock, {way})));
    EXPECT_EQ(clean.status, 0) << clean.err;
    EXPECT_EQ(clean.out, "signalled the keeper\n");
  }
}

TEST_F(Unruly, AKeeperThatWasStoppedStillEndsWhatAKilledLauncherLeaves) {
  SKIP_WITHOUT_ISOLATION();
  running launcher{wrapped({"--isolate=require"},
                           unruly(lock, {"thread", "hop_sessions", "stop_keeper", "serve", "0"}))};
  ASSERT_TRUE(launcher.says("ready"));
  ::kill(launcher.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return lock.is_free(); }));
}

// The doctor.

TEST(Doctor, ShowsThatEveryKindOfLeakIsSeen) {
  const outcome here = run({tidewait, "doctor"});
  EXPECT_EQ(here.status, 0) << here.out;
  for (const char* leak :
       {"listener", "bound socket", "UDP socket", "TIME_WAIT", "inherited by a child",
        "orphaned server", "closed under accept..", "process left running"}) {
    EXPECT_THAT(here.out, ContainsRegex(std::string{"\n  "} + leak + " +yes "));
  }
  EXPECT_THAT(here.out, HasSubstr("\n  isolation  "));
}

TEST(Doctor, FailsWhereALeakIsNotSeenAndSaysWhy) {
  const words without_proc{
      "unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"};
  words probe = without_proc;
  probe.emplace_back("true");
  if (run(probe).status != 0) GTEST_SKIP() << "a mount namespace of one's own is denied";
  words command = without_proc;
  command.insert(command.end(), {tidewait, "doctor"});
  const outcome blind = run(command);
  EXPECT_EQ(blind.status, 1) << blind.out << blind.err;
  EXPECT_THAT(blind.out, AllOf(StartsWith("tidewait: not every kind of leak is seen here\n"),
                               HasSubstr("owners hidden")));
}

// A terminal.

/// A program in a terminal of its own.
class terminal {
 public:
  explicit terminal(const words& command) {
    pid_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::close(master_);
    ::waitpid(pid_, nullptr, 0);
  }
  bool works() const { return pid_ > 0; }
  void type(const std::string& text) {
    EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  /// Waits until the text appears after what was waited for before.
  bool shows(const std::string& text) {
    for (;;) {
      if (const auto at = screen_.find(text); at != std::string::npos) {
        screen_.erase(0, at + text.size());
        return true;
      }
      pollfd ready{master_, POLLIN, 0};
      char part[4096];
      if (::poll(&ready, 1, 30000) <= 0) return false;
      const ssize_t got = ::read(master_, part, sizeof part);
      if (got <= 0) return false;
      screen_.append(part, static_cast<std::size_t>(got));
    }
  }
  const std::string& screen() const { return screen_; }
  int status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  int master_ = -1;
  pid_t pid_ = -1;
  std::string screen_;
};

TEST(RunInATerminal, TheCommandReadsFromItAndCtrlCEndsIt) {
  terminal screen{wrapped({}, {"sed", "-u", "s/hello/got &/"})};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  screen.type("hello\n");
  EXPECT_TRUE(screen.shows("got hello")) << screen.screen();
  screen.type("\x03");
  EXPECT_EQ(screen.status(), 130);
}

TEST(RunInATerminal, AShellStopsAndContinuesIt) {
  SKIP_WITHOUT("bash");
  terminal screen{{"bash", "--norc", "--noprofile", "-i"}};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  screen.type("PS1='rea''dy> '\n");
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type(tidewait + " run -- sh -c 'echo be''gun; read line; echo \"got $line\"'\n");
  ASSERT_TRUE(screen.shows("begun")) << screen.screen();
  screen.type("\x1a");
  EXPECT_TRUE(screen.shows("Stopped")) << screen.screen();
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type("fg\n");
  EXPECT_TRUE(screen.shows("run --")) << screen.screen();
  screen.type("again\n");
  EXPECT_TRUE(screen.shows("got again")) << screen.screen();
  ASSERT_TRUE(screen.shows("ready> ")) << screen.screen();
  screen.type("exit\n");
}

TEST(RunInATerminal, CtrlCReachesTheProgramThatStartedIt) {
  terminal screen{
      {"sh", "-c",
       "trap 'echo both' INT; " + tidewait +
           " run -- sh -c 'trap \"exit 9\" INT; (sleep 0.3; echo up) & sleep 1000 & wait'; "
           "echo code $?"}};
  if (!screen.works()) GTEST_SKIP() << "no pseudo terminal";
  ASSERT_TRUE(screen.shows("up")) << screen.screen();
  screen.type("\x03");
  EXPECT_TRUE(screen.shows("both")) << screen.screen();
  EXPECT_TRUE(screen.shows("code 9")) << screen.screen();
}

}  // namespace
