// SPDX-License-Identifier: BSL-1.0
//
// Isolation.
#include <signal.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::EndsWith;
using testing::HasSubstr;

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

TEST(RunIsolated, KillingTheLauncherEndsEverything) {
  SKIP_WITHOUT_ISOLATION();
  const std::string seconds = unique_seconds();
  running command{wrapped({"--isolate"}, shell("setsid sh -c 'echo up; sleep " + seconds +
                                               "; true' & sleep " + seconds))};
  ASSERT_TRUE(command.says("up"));
  ::kill(command.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !is_alive(seconds); }));
}

}  // namespace
