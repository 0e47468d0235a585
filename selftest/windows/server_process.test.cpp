// SPDX-License-Identifier: BSL-1.0
//
// Servers of a test, each in a job of its own.

#include <chrono>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/server_process.hpp>
#include <tidewait/tidewait.hpp>

#include "child.hpp"

namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using tidewait::argument;
using tidewait::protocol;
using tidewait::server_error;
using tidewait::server_exit;
using tidewait::server_options;
using tidewait::server_process;

constexpr auto long_enough = 30s;

server_process subject(std::vector<argument> arguments, server_options options = {}) {
  return server_process{child::beside_us("subject_server.exe"), std::move(arguments),
                        std::move(options)};
}

/// Wine closes the sockets of a process after its end.
bool gets_free(const tidewait::port_lease& port) {
  return tidewait::wait_until_free(protocol::tcp, port.number(), long_enough).free();
}

template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const tidewait::error& error) {
    return error.what();
  }
  return "none";
}

/// So are its other handles, such as the locks of leases.
bool gets_unleased(std::uint16_t port) {
  const auto end = std::chrono::steady_clock::now() + long_enough;
  while (tidewait::detail::lock_holder(protocol::tcp, port)) {
    if (std::chrono::steady_clock::now() > end) return false;
    tidewait::detail::sleep_for(10ms);
  }
  return true;
}

constexpr int control_c_exit = static_cast<int>(0xc000013aU);

/// Wine has no CTRL_BREAK, nor has a program without a console.
bool can_be_asked_to_end() {
  const tidewait::port_lease port = tidewait::lease_port();
  auto server = subject({"stay", port});
  server.wait_until_listening(port, long_enough);
  return server.stop().value == control_c_exit;
}

TEST(WindowsServer, ListensAndEndsWhenItIsAskedTo) {
  const tidewait::port_lease port = tidewait::lease_port();
  auto server = subject({"stay", port});
  server.wait_until_listening(port, long_enough);
  EXPECT_TRUE(server.running());
  const server_exit end = server.stop();
  EXPECT_TRUE(end.orderly()) << to_string(end);
  EXPECT_EQ(to_string(end), end.value == control_c_exit
                                ? "exception 0xc000013a (CTRL_BREAK or CTRL_C)"
                                : "exit status 1");
  EXPECT_FALSE(server.running());
  EXPECT_TRUE(gets_free(port));
}

TEST(WindowsServer, ThatDoesNotEndIsKilledAndReported) {
  if (!can_be_asked_to_end()) GTEST_SKIP() << "no CTRL_BREAK here";
  const tidewait::port_lease port = tidewait::lease_port();
  tidewait::watch watch;
  {
    auto server = subject({"stubborn", port}, server_options{}.grace(500ms));
    server.wait_until_listening(port, long_enough);
  }
  const tidewait::report found = watch.look();
  ASSERT_THAT(found.incidents, SizeIs(1)) << render(found);
  EXPECT_THAT(found.incidents.front(),
              AllOf(HasSubstr("did not end within 500 ms of CTRL_BREAK, so it was killed: pid"),
                    HasSubstr("subject_server.exe")));
  EXPECT_TRUE(gets_free(port));
}

TEST(WindowsServer, MayBeADaemonThatEndsWithItsJob) {
  const tidewait::port_lease port = tidewait::lease_port();
  // The one that stays has no console of ours, and so cannot be asked.
  auto server = subject({"start", port}, server_options{}.daemon().grace(500ms));
  server.wait_until_listening(port, long_enough);
  EXPECT_TRUE(server.running());
  const server_exit end = server.stop();
  EXPECT_FALSE(end.by_itself);
  EXPECT_THAT(end.survivors, IsEmpty());
  EXPECT_TRUE(gets_free(port));
}

TEST(WindowsServer, WhoseProgramEndsBeforeItListensIsAnError) {
  const tidewait::port_lease port = tidewait::lease_port();
  auto server = subject({"tell", "why"});
  EXPECT_THAT(error_of([&] { server.wait_until_listening(port, long_enough); }),
              AllOf(HasSubstr("it ended with exit status 3"), HasSubstr("[why]")));
}

TEST(WindowsServer, ThatCrashesIsReported) {
  auto server = subject({"crash"});
  const server_exit end = server.wait_for_exit(long_enough);
  EXPECT_TRUE(end.crashed);
  EXPECT_TRUE(end.by_itself);
  EXPECT_EQ(to_string(end), "exception 0xc0000005 (access violation)");
}

TEST(WindowsServer, ThatReturnsMinusOneHasNotCrashed) {
  auto server = subject({"minus-one"});
  const server_exit end = server.wait_for_exit(long_enough);
  EXPECT_FALSE(end.crashed);
  EXPECT_EQ(to_string(end), "exit status -1");
}

TEST(WindowsServer, GetsItsArgumentsAVariableAndADirectory) {
  ::SetEnvironmentVariableA("SELFTEST_VARIABLE", "ours");
  auto server = subject(
      {"tell", "two words", "a\\\"b\\", "", {"--port=", 80}},
      server_options{}.environment("selftest_Variable", "its own").working_directory("C:\\"));
  ::SetEnvironmentVariableA("SELFTEST_VARIABLE", nullptr);
  EXPECT_EQ(server.wait_for_output("^directory: .*\\\\$", long_enough), "directory: C:\\");
  EXPECT_EQ(server.wait_for_exit(long_enough).value, 3);
  EXPECT_THAT(server.output(), ElementsAre("[two words]", "[a\\\"b\\]", "[]", "[--port=80]",
                                           "variable: its own", "directory: C:\\"));
}

// It does not listen on that port: a lease that ends while its port is taken stays in this process.
TEST(WindowsServer, KeepsThePortLeasedWhileItCanBeStarted) {
  const tidewait::port_lease other = tidewait::lease_port();
  std::uint16_t number = 0;
  {
    auto server = [&] {
      const tidewait::port_lease port = tidewait::lease_port();
      number = port.number();
      return subject({"stay", other, port});
    }();
    EXPECT_TRUE(tidewait::detail::lock_holder(protocol::tcp, number));
    server.stop();
    EXPECT_TRUE(tidewait::detail::lock_holder(protocol::tcp, number));
  }
  EXPECT_TRUE(gets_unleased(number));
}

TEST(WindowsServer, InheritsAllLeasesIfNoneIsNamed) {
  const tidewait::port_lease other = tidewait::lease_port();
  std::uint16_t number = 0;
  auto server = [&] {
    const tidewait::port_lease port = tidewait::lease_port();
    number = port.number();
    return subject({"stay", std::to_string(other.number())});
  }();
  EXPECT_TRUE(tidewait::detail::lock_holder(protocol::tcp, number));
  server.stop();
  EXPECT_TRUE(gets_unleased(number));
}

TEST(WindowsServer, StartsAgain) {
  const tidewait::port_lease port = tidewait::lease_port();
  auto server = subject({"stay", port});
  server.wait_until_listening(port, long_enough);
  const int first = server.pid();
  EXPECT_TRUE(server.restart().orderly());
  server.wait_until_listening(port, long_enough);
  EXPECT_NE(server.pid(), first);
}

TEST(WindowsServer, IsToldFromAStrangerOnItsPort) {
  const tidewait::port_lease port = tidewait::lease_port();
  child stranger{"subject_server.exe", "host " + std::to_string(port.number())};
  ASSERT_EQ(stranger.read_line(), "ready");
  const tidewait::port_lease other = tidewait::lease_port();
  auto server = subject({"stay", other});
  EXPECT_THAT(error_of([&] { server.wait_until_listening(port, long_enough); }),
              HasSubstr("not to the server"));
}

TEST(WindowsServer, ThatHandlesCtrlBreakIsEndedAllTheSame) {
  const tidewait::port_lease port = tidewait::lease_port();
  auto server = subject({"stubborn", port}, server_options{}.grace(500ms));
  server.wait_until_listening(port, long_enough);
  EXPECT_EQ(to_string(server.stop()), "exit status 1");
  EXPECT_TRUE(gets_free(port));
}

TEST(WindowsServer, EndsWithTheTest) {
  const tidewait::port_lease port = tidewait::lease_port();
  child test{"subject_server.exe", "host " + std::to_string(port.number())};
  ASSERT_EQ(test.read_line(), "ready");
  EXPECT_TRUE(tidewait::probe_port(protocol::tcp, port.number()));
  test.kill();
  EXPECT_TRUE(gets_free(port));
}

TEST(WindowsServer, RefusesWhatIsNotThere) {
  EXPECT_THAT(error_of([] { server_process{"no-such-server.exe"}; }),
              AllOf(StartsWith("starting no-such-server.exe: "), HasSubstr("no such program")));
  EXPECT_THAT(error_of([] { subject({"tell"}, server_options{}.stop_signal(SIGINT)); }),
              HasSubstr("CTRL_BREAK is all that asks a program to end on Windows"));
  const tidewait::bound_socket socket;
  EXPECT_THAT(error_of([&] { server_options{}.pass_socket(socket); }),
              HasSubstr("give it a leased port"));
}

}  // namespace
