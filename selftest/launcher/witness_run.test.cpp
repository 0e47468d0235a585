// SPDX-License-Identifier: BSL-1.0
//
// The witness of binds as `tidewait run` uses it.
#include <signal.h>

#include <string>

#include <gmock/gmock.h>

#include "failed_bind.hpp"
#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// Python that binds `first` and listens, and then does `then` to another socket on the port.
words twice_in_one_process(const std::string& first, const std::string& family,
                           const std::string& then) {
  return python(
      "import socket\n"
      "def made(family):\n"
      "  s = socket.socket(family)\n"
      "  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
      "  return s\n"
      "a = made(socket.AF_INET); b = made(socket." +
      family + ")\na.bind(('" + first + "', 0)); port = a.getsockname()[1]\n" + then);
}

TEST(WitnessRun, ABindThatTheSameProcessStandsInTheWayOfIsItsOwnMistake) {
  SKIP_WITHOUT_WITNESS();
  const std::string own = "next: the same process has this port already: ";
  const outcome same =
      run(wrapped({"--witness"}, twice_in_one_process("127.0.0.1", "AF_INET",
                                                      "a.listen(); b.bind(('127.0.0.1', port))")));
  EXPECT_EQ(same.status, 1);
  EXPECT_THAT(same.err, AllOf(HasSubstr(own + "bind it once"), Not(HasSubstr("in listen()"))));
  const outcome dual =
      run(wrapped({"--witness"},
                  twice_in_one_process("0.0.0.0", "AF_INET6", "a.listen(); b.bind(('::', port))")));
  EXPECT_THAT(dual.err, HasSubstr(own + "set IPV6_V6ONLY on the IPv6 socket"));
}

TEST(WitnessRun, AListenThatFailsAfterABindThatSucceededIsExplained) {
  SKIP_WITHOUT_WITNESS();
  const outcome got = run(wrapped(
      {"--witness"},
      twice_in_one_process("127.0.0.1", "AF_INET",
                           "b.bind(('127.0.0.1', port)); a.listen(); a.listen(); b.listen()")));
  EXPECT_EQ(got.status, 1);
  EXPECT_THAT(got.err, AllOf(HasSubstr("tidewait: 1 bind failed while this ran\n"),
                             HasSubstr(", in listen()  held by pid "),
                             HasSubstr("the same process has this port already")));
}

TEST(WitnessRun, ExplainSaysWhenAFailedBindIsShown) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  const words succeeds = python(bind_and_end(taken.number(), "1", "sys.exit(0)"));
  const words fails = python(bind_and_end(taken.number(), "1", "sys.exit(5)"));
  const std::string shown = "bind failed while this ran";
  EXPECT_THAT(run(wrapped({"--witness"}, succeeds)).err, Not(HasSubstr(shown)));
  EXPECT_THAT(run(wrapped({"--witness", "--explain=always"}, succeeds)).err, HasSubstr(shown));
  EXPECT_THAT(run(wrapped({"--witness", "--explain=never"}, fails)).err, Not(HasSubstr(shown)));
  EXPECT_THAT(run(wrapped({"--witness", "--success-codes=5"}, fails)).err, Not(HasSubstr(shown)));
  EXPECT_EQ(run(wrapped({"--explain=sometimes"}, {"true"})).status, 2);
  EXPECT_THAT(
      run(wrapped({"--witness", "--explain=always"}, {"true"})).err,
      HasSubstr("tidewait: 0 binds witnessed; not seen: a listener that a process still has "
                "open when it ends"));
}

TEST(WitnessRun, TheReportHasEachBind) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  const directory there;
  const std::string test =
      "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0))\n"
      "s.listen()\n" +
      bind_and_end(taken.number(), "2", "");
  const outcome got = run(wrapped({"--witness", "--json", there / "r.json"},
                                  {"sh", "-c", "exec \"$@\"", "sh", "python3", "-c", test}));
  EXPECT_EQ(got.status, 0) << got.err;
  const outcome read = run(python(
      "import json; r = json.load(open('" + there / "r.json" +
      "'))\n"
      "print(r['witness']['absent'], len(r['binds']), len(r['failed_binds']))\n"
      "b = r['binds'][0]\n"
      "print(b['protocol'], b['asked']['port'], b['got']['port'] > 0, b['kernel_chose_port'],\n"
      "      b['listening'], b['error'], b['command'])\n"
      "f = r['failed_binds'][0]\n"
      "print(f['error'], f['count'], f['asked']['port'], f['why']['conflicting'][0]['state'])\n"));
  EXPECT_EQ(read.out, "None 3 1\ntcp 0 True True True None python3\nEADDRINUSE 2 " +
                          taken.number() + " LISTEN\n")
      << read.err;
}

/// "error stack" of each bind in a report.
std::string stacks_in(const std::string& report) {
  return run(python("import json\nfor b in json.load(open('" + report +
                    "'))['binds']: print(b['error'], b['stack'])"))
      .out;
}

TEST(WitnessRun, TheReportHasTheStackOfABindThatATestProgramHasRecorded) {
  SKIP_WITHOUT_WITNESS();
  const directory there;
  const words test{SELFTEST_GTEST_SUBJECT, "--gtest_filter=Subject.LeavesAListener"};
  const words launched = wrapped({"--witness", "--json", there / "r.json"}, test);
  EXPECT_EQ(run(launched).status, 1);
  EXPECT_THAT(stacks_in(there / "r.json"), ContainsRegex("None /[^ ]+[+]0x[0-9a-f]+ < "));
  EXPECT_EQ(run(launched, {"TIDEWAIT_STACK=off"}).status, 1);
  EXPECT_THAT(stacks_in(there / "r.json"), Not(HasSubstr("+0x")));
}

/// It binds a socket twice, and writes for each what a witness would: by cookie alone one would be
/// taken for the other, or for one of before the machine was started.
TEST(WitnessRun, AStackIsOfThatVeryCall) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  const directory there;
  const std::string test = "taken = " + taken.number() + R"(
import json, os, socket, struct
boot = open('/proc/sys/kernel/random/boot_id').read().strip()
file = os.open(os.environ['TIDEWAIT_JOURNAL'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
def note(port, error, stack, boot=boot, space=0):
  number = lambda option: struct.unpack('Q', s.getsockopt(socket.SOL_SOCKET, option, 8))[0]
  line = {'journal': 1, 'event': 'bind_failed' if error else 'bound', 'test': 't', 'ctest': '',
          'protocol': 'tcp', 'asked': '127.0.0.1:%d' % port, 'error': error,
          'cookie': str(number(57)), 'namespace': str(number(71) + space), 'pid': os.getpid(),
          'run': '', 'stack': stack, 'time': 1, 'count': 1, 'boot': boot}
  os.write(file, (json.dumps(line, separators=(',', ':')) + '\n').encode())
s = socket.socket()
try: s.bind(('127.0.0.1', taken))
except OSError as error: note(taken, error.errno, '/t+0x1')
s.bind(('127.0.0.1', 0)); s.listen()
for i in 3, 2, 4:
  if i == 2: note(0, 0, '/t+0x2')
  else:
    note(0, 0, '/t+0x%d' % i, boot='another')
    note(0, 0, '/t+0x%d' % (i + 2), space=1)
)";
  const outcome got = run(wrapped(
      {"--witness", "--json", there / "r.json", "--journal", there / "j.jsonl"}, python(test)));
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(stacks_in(there / "r.json"), "EADDRINUSE /t+0x1\nNone /t+0x2\n");
}

TEST(WitnessRun, OnlyWhoAskedForAJournalIsToldWhatItHasNoRoomFor) {
  SKIP_WITHOUT_WITNESS();
  const directory there;
  const words test = python(
      "import socket\nfor i in range(300):\n"
      "  with socket.socket() as s: s.bind(('127.0.0.1', 0)); s.listen()");
  const outcome plain = run(wrapped({"--witness"}, wrapped({"--no-witness"}, test)));
  EXPECT_EQ(plain.status, 0) << plain.err;
  EXPECT_THAT(plain.err, Not(HasSubstr("room for")));
  EXPECT_THAT(run(wrapped({"--witness", "--journal", there / "j.jsonl"}, test)).err,
              ContainsRegex("note: [0-9]+ binds more than the journal has room for"));
}

const char* const serve_on_any_port = R"(
import socket
listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
listener.close(); server.close(); client.recv(1); client.close()
)";

TEST(WitnessRun, ATimeWaitOnAPortThatTheKernelChoseIsHarmlessAndListed) {
  SKIP_WITHOUT_WITNESS();
  const outcome got = run(wrapped({"--witness"}, python(serve_on_any_port)));
  EXPECT_EQ(got.status, 0);
  EXPECT_THAT(got.err, ContainsRegex("note: 1 TIME_WAIT on 127.0.0.1:[0-9]+: harmless"));
  const outcome strict =
      run(wrapped({"--witness", "--tolerate", "fail:time_wait"}, python(serve_on_any_port)));
  EXPECT_EQ(strict.status, 97) << strict.err;
  EXPECT_THAT(strict.err, HasSubstr("\n  TIME_WAIT "));
}

TEST(WitnessRun, ATimeWaitOnAPortThatTheCommandChoseFailsHoweverShortTheServerLived) {
  SKIP_WITHOUT_WITNESS();
  SKIP_WITHOUT_ISOLATION();
  std::string test = serve_on_any_port;
  test.replace(test.find(", 0)"), 4, ", 8080)");
  // In a network that nobody else uses, but the inner run does not know that.
  words inner = wrapped({"--witness"}, python(test));
  inner.insert(inner.begin(), {"env", "-u", "TIDEWAIT_PRIVATE_NAMESPACE"});
  const outcome got = run(wrapped({"--isolate", "--no-witness", "--tolerate", "time_wait"}, inner));
  EXPECT_EQ(got.status, 97) << got.err;
  EXPECT_THAT(got.err, AllOf(HasSubstr(" left 1 socket behind on 127.0.0.1:8080\n"),
                             HasSubstr("\n  TIME_WAIT ")));
}

TEST(WitnessRun, EveryTimeWaitOfAServerIsFoundAsTheKernelCountsThem) {
  SKIP_WITHOUT_WITNESS();
  SKIP_WITHOUT_ISOLATION();
  const outcome got = run(wrapped({"--isolate", "--witness"}, python(R"(
import socket
for i in range(40):
  listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
  for j in range(1 + i % 3):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    server.close(); client.recv(1); client.close()
  listener.close()
lines = open('/proc/net/tcp').read().splitlines()[1:]
print(sum(line.split()[3] == '06' for line in lines))
)")));
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(got.out, "79\n");
  EXPECT_THAT(got.err, HasSubstr("note: 79 TIME_WAITs on 127.0.0.1:"));
  EXPECT_THAT(got.err, HasSubstr(" and 35 more: harmless, since the kernel chose the port"));
}

/// Looks and leases bind sockets of their own, to ask the kernel.
TEST(WitnessRun, TheBindsOfALookAreNotThoseOfTheCommand) {
  SKIP_WITHOUT_WITNESS();
  for (const char* const test : {"Subject.LeavesAListener", "Subject.LeavesTimeWait"}) {
    const outcome got =
        run(wrapped({"--witness", "--explain=always"},
                    {SELFTEST_GTEST_SUBJECT, std::string{"--gtest_filter="} + test}));
    EXPECT_EQ(got.status, 1) << got.err;
    EXPECT_THAT(got.err, Not(HasSubstr("failed while"))) << test;
  }
}

TEST(WitnessRun, RequireRunsNothingWithoutIt) {
  const directory there;
  const std::string ran = there / "ran";
  for (const char* options : {"--tolerate=owner=gpg-agent", "--isolate=no"}) {
    if (std::string{options} == "--isolate=no" && why_no_witness().empty()) continue;
    const outcome got = run(wrapped({"--witness=require", options}, {"touch", ran}));
    EXPECT_EQ(got.status, 3) << options;
    EXPECT_THAT(got.err, HasSubstr(" was not run: its binds cannot be witnessed"));
    EXPECT_NE(::access(ran.c_str(), F_OK), 0);
  }
  EXPECT_EQ(run(wrapped({"--witness=require", "--keep-orphans"}, {"true"})).status, 2);
  EXPECT_EQ(run(wrapped({"--witness", "--no-witness"}, {"true"})).status, 2);
}

TEST(WitnessRun, SaysWhyNobodyWatched) {
  const directory there;
  const auto absent = [&](const words& options) {
    words all = options;
    all.insert(all.end(), {"--json", there / "r.json"});
    const outcome got = run(wrapped(all, {"true"}));
    EXPECT_EQ(got.status, 0) << got.err;
    return run(python("import json; print(json.load(open('" + there / "r.json" +
                      "'))['witness']['absent'])"))
        .out;
  };
  EXPECT_EQ(absent({"--no-witness"}), "it is switched off\n");
  EXPECT_THAT(absent({"--keep-orphans"}), HasSubstr("could no longer bind"));
  EXPECT_THAT(absent({"--tolerate", "owner=gpg-agent"}), HasSubstr("gpg-agent"));
  EXPECT_THAT(run(wrapped({"--keep-orphans", "--witness"}, {"true"})).err,
              HasSubstr("warning: binds are not witnessed: "));
}

TEST(WitnessRun, TheOuterOfTwoLaunchersWatches) {
  SKIP_WITHOUT_WITNESS();
  const directory there;
  const outcome got = run(wrapped(
      {"--witness"}, wrapped({"--json", there / "r.json"}, python(bind_and_end("0", "1", "")))));
  EXPECT_EQ(got.status, 0) << got.err;
  const outcome read = run(python("import json; print(json.load(open('" + there / "r.json" +
                                  "'))['witness']['absent'])"));
  EXPECT_THAT(read.out, HasSubstr("outer `tidewait run`"));
}

TEST(WitnessRun, ASetuidProgramKeepsItsRightsUnlessAskedForTheWitness) {
  if (::geteuid() == 0) GTEST_SKIP() << "root needs no no_new_privs";
  const words status{"grep", "NoNewPrivs", "/proc/self/status"};
  EXPECT_THAT(run(wrapped({}, status)).out, HasSubstr("\t0"));
  EXPECT_THAT(run(wrapped({"--witness"}, status)).out, HasSubstr("\t1"));
}

TEST(WitnessRun, TheCommandEndsWithTheLauncherThatIsKilledInTheMiddle) {
  SKIP_WITHOUT_WITNESS();
  running launched{wrapped({"--witness"}, python("import socket, sys\n"
                                                 "print('binds', flush=True)\n"
                                                 "while True:\n"
                                                 "  socket.socket().bind(('127.0.0.1', 0))\n"))};
  ASSERT_TRUE(launched.says("binds"));
  ::kill(launched.pid(), SIGKILL);
  EXPECT_EQ(launched.finish().status, 128 + SIGKILL);  // its output is closed, so nobody is left
}

}  // namespace
