// SPDX-License-Identifier: BSL-1.0
//
// The command goes on as it would alone, wherever it is run.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

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
  EXPECT_EQ(run({program_path, "run"}).status, 2);
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

TEST(Run, RelaysAllOfALongOutput) {
  const outcome kept = run_shell({"--keep-orphans"}, "seq 200000; seq 200000 >&2");
  EXPECT_EQ(kept.status, 0);
  EXPECT_EQ(kept.out.size(), 1288895U);
  EXPECT_EQ(kept.err.size(), 1288895U);
}

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

TEST(Run, AnOrphanThatHoldsTheOutputDoesNotStallCTest) {
  SKIP_WITHOUT("ctest");
  const directory there;
  const std::string seconds = unique_seconds();
  std::ofstream{there / "CTestTestfile.cmake"}
      << "add_test(holds \"" << program_path << "\" run -- sh -c \"sleep " << seconds << " &\")\n"
      << "add_test(hangs \"" << program_path << "\" run -- sh -c \"setsid sleep " << seconds
      << " & sleep " << seconds << "\")\n"
      << "set_tests_properties(hangs PROPERTIES TIMEOUT 2)\n";
  const outcome tests = run({"ctest", "--test-dir", there / "", "--output-on-failure"});
  EXPECT_THAT(tests.out, AllOf(HasSubstr("left 1 process running"), HasSubstr("(Timeout)"),
                               HasSubstr("0% tests passed")));
  EXPECT_TRUE(eventually([&] { return !is_alive(seconds); }));
}

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

TEST(Launcher, RemovesTheTemporaryFilesOfOneThatWasKilled) {
  const directory place;
  const words environment{"TMPDIR=" + (place / "")};
  selftest::run_options there;
  there.environment = environment;
  const auto names = [&] { return run({"ls", place / ""}).out; };
  // What has such a name and is no file of a launcher stays.
  const std::string foreign = "tidewait-tally-0123456789abcde";
  run(shell("cd " + (place / "") + " && ln -s /etc/passwd " + foreign + "0 && mkfifo " + foreign +
            "1 && mkdir " + foreign + "2 && touch tidewait-tally tidewait-tally-0123"));
  const std::string before = names();
  const words stay = wrapped({}, shell("echo ready; exec sleep " + unique_seconds()));

  running killed{stay, there};
  ASSERT_TRUE(killed.says("ready"));
  ::kill(killed.pid(), SIGKILL);
  killed.finish();
  EXPECT_NE(names(), before);

  run(wrapped({}, {"true"}), environment);
  EXPECT_EQ(names(), before);

  running alive{stay, there};
  ASSERT_TRUE(alive.says("ready"));
  const std::string with_alive = names();
  EXPECT_NE(with_alive, before);
  run(wrapped({}, {"true"}), environment);
  EXPECT_EQ(names(), with_alive);
  ::kill(alive.pid(), SIGTERM);
  EXPECT_EQ(alive.finish().status, 128 + SIGTERM);
  EXPECT_EQ(names(), before);
}

}  // namespace
