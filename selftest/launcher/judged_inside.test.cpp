// SPDX-License-Identifier: BSL-1.0
//
// What a program inside the command has judged is not judged once more by the launcher: one
// report, one rule of a file of known findings.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/sockets.hpp"
#include "../support/unix_server.hpp"
#include "failed_bind.hpp"
#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using tidewait::lease_port;
using tidewait::port_lease;

/// A child of a test that holds a socket until the launcher ends it: a script for the subject.
std::string child_with(const std::string& socket) {
  return "/usr/bin/python3 -c \"import os, socket, time\nr, w = os.pipe()\npid = os.fork()\n"
         "if pid == 0:\n"
         "  n = os.open('/dev/null', os.O_RDWR)\n  for fd in 0, 1, 2: os.dup2(n, fd)\n  " +
         socket +
         "\n  os.write(w, b'x')\n  time.sleep(60)\n  os._exit(0)\n"
         "os.read(r, 1)\nprint('child ' + str(pid))\n\"";
}
bool end_child(const std::string& out) {
  return end_process(out.substr(std::min(out.size(), out.find("child ") + 6)));
}
std::string tcp(const std::string& port) {
  return "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
         "s.bind(('127.0.0.1', " +
         port + "))";
}

class JudgedInside : public testing::Test {
 protected:
  static words subject(const std::string& test) {
    return {SELFTEST_JUDGED_SUBJECT, "--gtest_filter=Judged." + test};
  }
  outcome record(const std::string& test, const words& environment) const {
    words command{program_path, "known", "record", "--file", file(), "--"};
    for (const std::string& each : subject(test)) command.push_back(each);
    return run(command, environment);
  }
  outcome again(const std::string& test, words environment) const {
    environment.push_back("TIDEWAIT_POLICY=@" + file());
    return run(wrapped({"--strict"}, subject(test)), environment);
  }
  std::string file() const { return folder_ / "known.txt"; }
  /// Without its comments.
  std::string rules() const {
    std::ifstream in{file()};
    std::string text;
    for (std::string line; std::getline(in, line);)
      if (line.rfind('#', 0) != 0) text += line + '\n';
    return text;
  }

  directory folder_;
  socket_folder sockets_;
};

TEST_F(JudgedInside, AStaleFileMakesOneReportAndOneRule) {
  const std::string path = sockets_ / "a.sock";
  const words environment{"UNIX=" + path};
  const outcome failed = run(wrapped({"--witness"}, subject("LeavesAStaleFile")), environment);
  EXPECT_EQ(failed.status, 1) << failed.out << failed.err;
  EXPECT_EQ(count_of("stale socket file behind", failed.out), 1U) << failed.out;
  EXPECT_EQ(count_of("stale socket file behind", failed.err), 0U) << failed.err;
  EXPECT_THAT(failed.err,
              HasSubstr(": what Judged.LeavesAStaleFile has reported on " + path + " is still"));
  ::unlink(path.c_str());
  const outcome recorded = record("LeavesAStaleFile", environment);
  EXPECT_EQ(recorded.status, 0) << recorded.err;
  EXPECT_THAT(rules(), MatchesRegex("path=\\*/.*/a[.]sock[+]test=Judged[.]LeavesAStaleFile\n"));
  ::unlink(path.c_str());
  EXPECT_EQ(again("LeavesAStaleFile", environment).status, 0);
}

TEST_F(JudgedInside, AStaleFileThatIsKnownPassesInAnotherCheckoutAndNothingElseDoes) {
  const auto in = [&](const std::string& checkout, const words& command, const std::string& name) {
    const std::string build = sockets_ / checkout + "/build";
    std::filesystem::create_directories(build + "/run");
    const std::string socket = build + "/run/" + name;
    words all{"env", "-C", build, "UNIX=" + socket};
    all.insert(all.end(), command.begin(), command.end());
    const outcome got = run(all, {"TIDEWAIT_POLICY=@" + file()});
    ::unlink(socket.c_str());
    return got;
  };
  const std::string test = SELFTEST_JUDGED_SUBJECT " --gtest_filter=Judged.LeavesAStaleFile";
  const words known = {program_path, "known", "record", "--file", file(), "--", "sh", "-c", test};
  const words strict = wrapped({"--strict"}, {"sh", "-c", test});
  const words prune = {program_path, "known", "prune", "--", "sh", "-c", test};
  std::ofstream{file()} << "";
  EXPECT_EQ(in("one", known, "a.sock").status, 0);
  const std::string rule = "path=*/run/a.sock+test=Judged.LeavesAStaleFile\n";
  EXPECT_EQ(rules(), rule);
  EXPECT_EQ(in("one", strict, "a.sock").status, 0);
  const outcome elsewhere = in("two", strict, "a.sock");
  EXPECT_EQ(elsewhere.status, 0) << elsewhere.out << elsewhere.err;
  EXPECT_EQ(in("two", strict, "b.sock").status, 1) << "another file is new";
  EXPECT_EQ(in("two", known, "a.sock").status, 0);
  EXPECT_EQ(rules(), rule) << "known there as well";
  EXPECT_EQ(in("two", prune, "a.sock").status, 0);
  EXPECT_EQ(rules(), rule) << "in use there";
}

TEST_F(JudgedInside, AFileThatIsMadeAnewIsTheLaunchersToReport) {
  SKIP_WITHOUT_WITNESS();
  const std::string path = sockets_ / "a.sock";
  const words whole = subject("LeavesAStaleFile");
  const outcome left =
      run_shell({"--witness=require"},
                whole[0] + ' ' + whole[1] + "; rm " + path +
                    "; /usr/bin/python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('" +
                    path + "')\"",
                {"UNIX=" + path});
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("left 1 stale socket file behind: " + path),
                              Not(HasSubstr("is still there"))));
}

/// The process that holds it is another finding, which only the launcher has.
TEST_F(JudgedInside, ASocketOfAChildMakesOneRuleBesideThatOfTheProcess) {
  const std::string path = sockets_ / "a.sock";
  const std::string name = "@judged-" + std::to_string(::getpid());
  const std::string serve = "s = socket.socket(socket.AF_UNIX); s.bind('";
  const std::string owner = "owner=python3\n";
  for (const auto& [where, bind] :
       {std::pair{path, serve + path}, std::pair{name, serve + "\\\\0" + name.substr(1)}}) {
    ::unlink(file().c_str());
    const words environment{"SCRIPT=" + child_with(bind + "'); s.listen()")};
    const outcome recorded = record("RunsAScript", environment);
    EXPECT_EQ(recorded.status, 0) << recorded.err;
    EXPECT_THAT(recorded.err, AllOf(HasSubstr("left 1 process running"),
                                    Not(HasSubstr("left 1 Unix socket behind"))));
    EXPECT_THAT(rules(), AllOf(StartsWith(owner + "path=" + (where == path ? "*/" : name + '+')),
                               HasSubstr("+test=\"the test program\"\n")))
        << recorded.out;
    ::unlink(path.c_str());
  }
}

TEST_F(JudgedInside, WhatWasRecordedOfAChildPassesAStrictRun) {
  const port_lease port = lease_port();
  const std::string number = std::to_string(port.number());
  for (const auto& [bind, rule] :
       {std::pair{tcp(number) + "; s.listen()", "listen+port=" + number + "+test=Judged.RunsA"},
        std::pair{tcp(number), "bound+port=" + number + "+test=\"the test"},
        std::pair{"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', " +
                      number + "))",
                  "unconn+port=" + number + "+test=Judged.RunsA"}}) {
    ::unlink(file().c_str());
    const words environment{"SCRIPT=" + child_with(bind)};
    const outcome recorded = record("RunsAScript", environment);
    EXPECT_EQ(recorded.status, 0) << recorded.out << recorded.err;
    EXPECT_THAT(recorded.err, Not(HasSubstr("127.0.0.1:" + number)));
    EXPECT_THAT(rules(), AllOf(HasSubstr(rule), HasSubstr("owner=python3\n")));
    EXPECT_EQ(count_of("\n", rules()), 2U) << rules();
    const outcome known = again("RunsAScript", environment);
    EXPECT_EQ(known.status, 0) << known.out << known.err;
    EXPECT_TRUE(end_child(known.out)) << known.out;
    EXPECT_TRUE(eventually([&] {
      std::error_code error;
      return static_cast<bool>(sockets::bound(port.number(), error));
    }));
  }
}

TEST_F(JudgedInside, ATimeWaitMakesOneReportAndOneRule) {
  const port_lease port = lease_port();
  const std::string number = std::to_string(port.number());
  const words environment{"PORT=" + number, "WITHOUT_REUSE=1"};
  const outcome recorded = record("LeavesTimeWait", environment);
  EXPECT_EQ(recorded.status, 0) << recorded.out << recorded.err;
  EXPECT_THAT(recorded.err, Not(HasSubstr("127.0.0.1:" + number)));
  EXPECT_EQ(rules(), "time_wait+port=" + number + "+test=Judged.LeavesTimeWait\n");
}

/// A rule of the launcher alone, which the program does not know, is the launcher's to keep.
TEST_F(JudgedInside, AStricterRuleOfTheLauncherStillFails) {
  const port_lease port = lease_port();
  const words harmless{"PORT=" + std::to_string(port.number())};
  SKIP_WITHOUT_ISOLATION();  // there a TIME_WAIT is the command's for certain
  const auto run_with = [&](const std::string& rules) {
    return run(wrapped({"--isolate", "--tolerate", rules}, subject("LeavesTimeWait")), harmless);
  };
  EXPECT_EQ(run_with("listen").status, 0);
  EXPECT_EQ(run_with("fail:time_wait").status, 97);
}

/// What a launcher inside the command has judged, likewise: its journal says what it decided.
TEST_F(JudgedInside, WhatALauncherInsideTookForHarmlessIsNotReported) {
  SKIP_WITHOUT_ISOLATION();
  const words server = python(
      "import socket\nl = socket.socket()\n"
      "l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
      "l.bind(('127.0.0.1', 8080))\nl.listen()\n"
      "c = socket.create_connection(('127.0.0.1', 8080))\na, _ = l.accept()\n"
      "a.close()\nc.close()\n");
  const auto below = [](const words& options, const words& command) {
    return run(wrapped({"--no-witness", "--isolate"}, wrapped(options, command)));
  };
  const outcome probe = below({"--witness=require"}, {"true"});
  if (probe.status != 0) GTEST_SKIP() << probe.err;
  const outcome nested = below({"--witness=require"}, server);
  EXPECT_EQ(nested.status, 0) << nested.err;
  EXPECT_THAT(nested.err, HasSubstr("harmless"));
  EXPECT_THAT(nested.err, Not(HasSubstr("is still there")));
}

/// CTest runs tests at once, and they write into one journal.
TEST_F(JudgedInside, WhatATestOfAnotherLauncherHasLeftIsNotTheCommands) {
  const std::string journal = folder_ / "journal";
  const std::string reported = "grep -q '\"reported\":1' " + journal;
  for (const words& named : {words{}, words{"--name", "net.Waits"}}) {
    words options{"--journal", journal};
    options.insert(options.end(), named.begin(), named.end());
    running waiting{
        wrapped(options, shell("echo ready; while ! " + reported + "; do sleep 0.02; done"))};
    ASSERT_TRUE(waiting.says("ready")) << waiting.out();
    const std::string path = sockets_ / "a.sock";
    EXPECT_EQ(
        run(wrapped({"--journal", journal}, subject("LeavesAStaleFile")), {"UNIX=" + path}).status,
        1);
    const auto end = waiting.finish();
    EXPECT_EQ(end.status, 0) << end.err;
    EXPECT_THAT(end.err, Not(HasSubstr("is still there")));
    ::unlink(path.c_str());
    ::unlink(journal.c_str());
  }
}

TEST_F(JudgedInside, AWarningOfATestIsNotRepeated) {
  const std::string path = sockets_ / "a.sock";
  const outcome warned = run(wrapped({}, subject("LeavesAStaleFile")),
                             {"UNIX=" + path, "TIDEWAIT_POLICY=warn:path=" + path});
  EXPECT_EQ(warned.status, 0) << warned.err;
  EXPECT_EQ(count_of(path, warned.err), 0U) << warned.err;
}

TEST_F(JudgedInside, ABindThatFailsAndAWildcardAreReportedOnce) {
  const port_lease port = lease_port();
  const words environment{"PORT=" + std::to_string(port.number()),
                          "TIDEWAIT_POLICY=fail:wildcard, fail:bind_failed"};
  const outcome everywhere =
      run(wrapped({"--witness"}, subject("ServesOnTheWildcard")), environment);
  EXPECT_EQ(everywhere.status, 1);
  EXPECT_EQ(count_of("serves on the wildcard address", everywhere.out + everywhere.err), 1U)
      << everywhere.out << everywhere.err;
  const sockets::unique_fd taken = sockets::listening(port.number());
  const outcome failed =
      run(wrapped({"--witness", "--explain", "never"}, subject("FailsToBind")), environment);
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(count_of("failed: ", failed.out), 1U) << failed.out;
  EXPECT_EQ(count_of("failed: ", failed.err), 0U) << failed.err;
}

TEST_F(JudgedInside, ASharedPortIsReportedOnceAndMakesOneRule) {
  const port_lease port = lease_port();
  const std::string number = std::to_string(port.number());
  const words environment{"PORT=" + number};
  const sockets::unique_fd theirs = sockets::listening(port.number(), sockets::reuse::port);
  const outcome failed = run(wrapped({}, subject("SharesAPort")), environment);
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(count_of("with another program", failed.out), 1U) << failed.out;
  EXPECT_EQ(count_of("with another program", failed.err), 0U) << failed.err;
  EXPECT_EQ(record("SharesAPort", environment).status, 0);
  EXPECT_EQ(rules(), "listen+port=" + number + "+test=Judged.SharesAPort\n");
  const outcome known = again("SharesAPort", environment);
  EXPECT_EQ(known.status, 0) << known.out << known.err;
}

/// The same of a program that knows nothing of tidewait.
TEST_F(JudgedInside, ASharedPortOfAnotherProgramMakesOneRuleThatHolds) {
  const port_lease port = lease_port();
  const std::string number = std::to_string(port.number());
  const sockets::unique_fd theirs = sockets::listening(port.number(), sockets::reuse::port);
  const words shares = python(
      "import socket, time\ns = socket.socket()\n"
      "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
      "s.bind(('127.0.0.1', " +
      number + "))\ns.listen()\ntime.sleep(1)\n");
  words command{program_path, "known", "record", "--file", file(), "--"};
  command.insert(command.end(), shares.begin(), shares.end());
  EXPECT_EQ(run(command).status, 0);
  EXPECT_EQ(rules(), "listen+port=" + number + "+owner=python3\n");
  const outcome known = run(wrapped({"--strict"}, shares), {"TIDEWAIT_POLICY=@" + file()});
  EXPECT_EQ(known.status, 0) << known.err;
}

}  // namespace
