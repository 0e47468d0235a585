// SPDX-License-Identifier: BSL-1.0
//
// What is left behind.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Run, AProcessLeftRunningFailsTheRunAndIsEnded) {
  const std::string seconds = unique_seconds();
  const outcome left = run_shell({}, "sleep " + seconds + " &");
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr(": left 1 process running: sleep\n"),
                              HasSubstr("sleep " + seconds), HasSubstr("fix: ")));
  EXPECT_THAT(left.out, IsEmpty());
  EXPECT_FALSE(is_alive(seconds));
}

/// As an entrypoint of a container does.
TEST(Run, WhatTheShellHadStartedBeforeItBecameTheLauncherIsNotTheCommands) {
  const std::string seconds = unique_seconds();
  const std::string script = "sleep " + seconds + " >/dev/null 2>&1 & echo $!; exec " +
                             program_path + " run -- sh -c 'exit 3'";
  const outcome kept = run(shell(script));
  EXPECT_EQ(kept.status, 3) << kept.err;
  EXPECT_THAT(kept.err, IsEmpty());
  EXPECT_TRUE(is_alive(seconds));
  EXPECT_TRUE(end_process(kept.out)) << kept.out;
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
  EXPECT_THAT(left.err, AllOf(HasSubstr("\n  UDP "), HasSubstr("left 2 sockets behind on ")));
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
              AllOf(HasSubstr(" LISTEN"),
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

}  // namespace
