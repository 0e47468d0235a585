// SPDX-License-Identifier: BSL-1.0
#include <signal.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/port_lock.hpp>

#include "../support/private_network.hpp"
#include "run_command.hpp"

namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;
using tidewait::protocol;

std::optional<int> holder(int port, protocol which = protocol::tcp) {
  return tidewait::detail::lock_holder(which, static_cast<std::uint16_t>(port));
}

run_result lease(std::vector<std::string> arguments, const run_options& options = {}) {
  arguments.insert(arguments.begin(), "lease");
  return tidewait_command(std::move(arguments), options);
}

TEST(LeaseCommand, PutsPortsIntoTheArgumentsAndTheEnvironment) {
  const run_result result =
      lease({"2", "--", "sh", "-c", "echo $0 $1 $TIDEWAIT_PORT_0 $TIDEWAIT_PORT_1 $TIDEWAIT_PORT_2",
             "a={port:0}", "{port:1}/{port:0}{port:x}"});
  std::istringstream text{result.out};
  std::string first;
  std::string second;
  std::string port;
  std::string other;
  text >> first >> second >> port >> other;
  EXPECT_EQ(first, "a=" + port);
  EXPECT_EQ(second, other + '/' + port + "{port:x}");
  EXPECT_NE(port, other);
  EXPECT_TRUE((text >> port).fail()) << "there is a third port: " << port;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.status, 0);
}

TEST(LeaseCommand, LeasesOnePortIfNotToldHowMany) {
  EXPECT_THAT(lease({"--", "echo", "{port:0}", "[ok]", "--udp"}).out,
              MatchesRegex("[0-9]{4,5} \\[ok\\] --udp\n"));
}

TEST(LeaseCommand, LeasesABlock) {
  std::istringstream text{
      lease({"3", "--block", "--", "echo", "{port:0}", "{port:1}", "{port:2}"}).out};
  int first = 0;
  int second = 0;
  int third = 0;
  ASSERT_TRUE(text >> first >> second >> third);
  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(third, first + 2);
}

TEST(LeaseCommand, KeepsTheExitCodeOfTheCommand) {
  EXPECT_EQ(lease({"--", "sh", "-c", "exit 42"}).status, 42);
  EXPECT_EQ(lease({"--", "sh", "-c", "kill -TERM $$"}).status, 128 + SIGTERM);
}

TEST(LeaseCommand, KeepsThePortsAsLongAsTheCommandAndWhatItStarted) {
  // The command ends at once and leaves a process behind, which has closed its output.
  const run_result result =
      lease({"--both", "--", "sh", "-c", "sleep 100 >&- 2>&- & echo $TIDEWAIT_PORT_0 $! $$"});
  int port = 0;
  int left = 0;
  int pid = 0;
  std::istringstream text{result.out};
  ASSERT_TRUE(text >> port >> left >> pid) << result.out << result.err;
  EXPECT_EQ(holder(port, protocol::tcp), pid) << "the command ran in place of tidewait";
  EXPECT_EQ(holder(port, protocol::udp), pid);
  ::kill(left, SIGKILL);
  // It is nobody's child here: only what its end brings about can be waited for.
  for (int i = 0; i < 1000 && holder(port) == pid; ++i) ::usleep(10000);
  EXPECT_NE(holder(port), pid);
}

TEST(LeaseCommand, LocksWhatItWasAskedFor) {
  const std::string script = "grep -c @tidewait/$0/$TIDEWAIT_PORT_0 /proc/net/unix; true";
  EXPECT_EQ(lease({"--udp", "--", "sh", "-c", script, "udp"}).out, "1\n");
  EXPECT_EQ(lease({"--udp", "--", "sh", "-c", script, "tcp"}).out, "0\n");
  EXPECT_EQ(lease({"--", "sh", "-c", script, "tcp"}).out, "1\n");
}

TEST(LeaseCommand, HandsOverTheHoldWhereNoPortIsOutsideTheRange) {
  run_options options;
  options.prepare = [] {
    const std::string why = enter_private_network();
    if (!why.empty()) throw std::runtime_error{why};
    set_rule("ipv4/ip_local_port_range", "1024 65535");
  };
  const run_result result = lease({"--", SELFTEST_COMMAND, "why", "{port:0}"}, options);
  if (result.status == 126) GTEST_SKIP() << result.err;
  EXPECT_EQ(result.status, 1) << result.out;
  EXPECT_THAT(result.err, StartsWith("tidewait: note: net.ipv4.ip_local_port_range leaves"));
}

TEST(LeaseCommand, SaysThatTheCommandCannotBeRun) {
  const run_result absent = lease({"--", "/nonexistent/server"});
  EXPECT_EQ(absent.status, 127);
  EXPECT_EQ(absent.err,
            "tidewait lease: cannot run '/nonexistent/server': No such file or directory\n");
  const run_result no_program = lease({"--", "/proc/self/cmdline"});
  EXPECT_EQ(no_program.status, 126);
  EXPECT_THAT(no_program.err, HasSubstr("cannot run '/proc/self/cmdline': Permission denied"));
}

TEST(LeaseCommand, SaysHowItIsUsed) {
  const auto refuses = [](const std::vector<std::string>& arguments, const char* text) {
    const run_result result = lease(arguments);
    EXPECT_EQ(result.status, 2) << text;
    EXPECT_THAT(result.err, HasSubstr(text));
  };
  refuses({"2"}, "no command: write tidewait lease [N] [options] -- COMMAND");
  refuses({"2", "python3", "-m", "http.server"},
          "put -- before the command: tidewait lease [options] -- COMMAND\n");
  refuses({"--", "echo", "{port:1}"}, "{port:1}");
  refuses({"none", "--", "true"}, "none");
  refuses({"0", "--", "true"}, "0");
  refuses({"--udp", "--both", "--", "true"}, "--both");
}

TEST(LeaseCommand, SaysThatThereAreNoPorts) {
  run_options options;
  options.prepare = [] {
    const std::string why = enter_private_network();
    if (!why.empty()) throw std::runtime_error{why};
    set_rule("ipv4/ip_local_port_range", "1026 65535");
  };
  const run_result result = lease({"3", "--", "true"}, options);
  if (result.status == 126) GTEST_SKIP() << result.err;
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err, StartsWith("tidewait: leasing 3 ports: no free port; tried 2 ports"));
}

}  // namespace
