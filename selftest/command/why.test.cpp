// SPDX-License-Identifier: BSL-1.0
#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "namespaces.hpp"
#include "run_command.hpp"
#include "socket_zoo.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const tidewait::ip_address loopback{tidewait::ip_address::v4_bytes{127, 0, 0, 1}};

/// The text with what differs from run to run replaced by names.
std::string normalised(std::string text, std::uint16_t port) {
  text = std::regex_replace(text, std::regex{"\\b" + std::to_string(port) + "\\b"}, "PORT");
  text = std::regex_replace(text, std::regex{"\\bpid " + std::to_string(::getpid()) + "\\b"},
                            "pid PID");
  text = std::regex_replace(text, std::regex{"\\bfd [0-9]+"}, "fd N");
  text = std::regex_replace(text, std::regex{"[0-9]+\\.[0-9] s"}, "T s");
  return std::regex_replace(text, std::regex{"  +"}, "  ");
}

run_result why(const std::string& where) { return tidewait_command({"why", where}); }

TEST(Why, SaysThatAPortIsFree) {
  const tidewait::port_lease port = tidewait::lease_port();
  const run_result result = why(std::to_string(port.number()));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(normalised(result.out, port.number()),
            "tidewait: port PORT is free on every address\n"
            "  leased by: pid PID (selftest_comman)\n");
  EXPECT_EQ(result.err, "");
}

TEST(Why, NamesTheListenerThatIsInTheWay) {
  socket_zoo zoo{loopback};
  const std::uint16_t port = zoo.listen();
  const run_result result = why(std::to_string(port));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(
      normalised(result.out, port),
      AllOf(StartsWith("tidewait: 127.0.0.1:PORT is in use\n"
                       "\n"
                       "  state  local  remote  owner  note\n"
                       "  LISTEN  127.0.0.1:PORT  -  pid PID selftest_comman fd N  "),
            HasSubstr("\n  next bind to 127.0.0.1:PORT: fails, even with SO_REUSEADDR (a listener "
                      "is open)\n"
                      "  why: pid PID (selftest_comman) is listening on 127.0.0.1:PORT\n"
                      "  fix: stop that process, or use another port\n")));
}

TEST(Why, FindsABoundSocketThatDoesNotListen) {
  socket_zoo zoo{loopback};
  const std::uint16_t port = zoo.bind_only();
  const run_result result = why("127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(normalised(result.out, port),
              AllOf(HasSubstr("\n  BOUND  127.0.0.1:PORT  -  pid PID selftest_comman fd N  "),
                    HasSubstr("is bound to the port, without listening")));
}

TEST(Why, SaysForHowLongATimeWaitBlocks) {
  socket_zoo zoo{loopback};
  std::uint16_t port = 0;
  {
    socket_zoo server{loopback};
    port = server.time_wait();
  }
  const run_result result = why("127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(normalised(result.out, port),
              AllOf(HasSubstr("\n  TIME_WAIT  127.0.0.1:PORT  127.0.0.1:"),
                    HasSubstr("  kernel, T s left  this side closed first\n"),
                    HasSubstr("fails for T s without SO_REUSEADDR; with it, it succeeds\n")));
}

TEST(Why, TellsOneAddressFromAnother) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  EXPECT_EQ(why("127.0.0.2:" + port).status, 0);
  EXPECT_EQ(why("127.0.0.1:" + port).status, 1);
  EXPECT_EQ(why("*:" + port).status, 1);
  EXPECT_EQ(why(":" + port).status, 1);
}

TEST(Why, TellsUdpFromTcp) {
  socket_zoo zoo{loopback};
  const std::uint16_t port = zoo.bind_udp();
  EXPECT_EQ(why(std::to_string(port)).status, 0);
  const run_result result = tidewait_command({"why", "--udp", std::to_string(port)});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(normalised(result.out, port), StartsWith("tidewait: UDP 127.0.0.1:PORT is in use\n"));
}

TEST(Why, SaysWhatIsNotInUseButCannotBeBound) {
  const run_result result = why("192.0.2.1:8080");  // TEST-NET-1, RFC 5737
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out,
              AllOf(StartsWith("tidewait: 192.0.2.1:8080 cannot be bound\n"),
                    HasSubstr("no interface of this network namespace has the address")));
}

/// Runs `tidewait why` where neither sock_diag nor /proc is to be had.
run_result why_blindly(const std::string& where) {
  return tidewait_command({"why", where}, {{}, [] {
                                             mount_over_proc("tmpfs", "");
                                             forbid_netlink();
                                           }});
}

TEST(WhyWithoutProcAndNetlink, StepsDownToTheAnswerOfTheKernelAndSaysSo) {
  socket_zoo zoo{loopback};
  const std::uint16_t taken = zoo.listen();
  for (const std::string place : {"", "127.0.0.1:"}) {
    const run_result result = why_blindly(place + std::to_string(taken));
    SKIP_IF_NOT_PERMITTED(result);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.out, AllOf(HasSubstr(":" + std::to_string(taken) + " is in use\n"),
                                  HasSubstr("  seen by: bind probes only; owners hidden")));
    EXPECT_THAT(result.err,
                AllOf(StartsWith("tidewait why: TCP sockets not visible: sock_diag refused"),
                      HasSubstr("mount /proc")));
  }
  const tidewait::port_lease port = tidewait::lease_port();
  EXPECT_EQ(why_blindly(std::to_string(port.number())).status, 0);
  EXPECT_EQ(why_blindly("127.0.0.1:" + std::to_string(port.number())).status, 0);
}

TEST(Why, ThatCannotEvenAskForTheBindExitsWith3) {
  for (const char* const where : {"20000", "127.0.0.1:20000"}) {
    const auto forbid = [] {
      forbid_sockets(AF_INET6, ENOBUFS);
      forbid_sockets(AF_INET, ENOBUFS);
    };
    const run_result result = tidewait_command({"why", where}, {{}, forbid});
    SKIP_IF_NOT_PERMITTED(result);
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("tidewait: asking the kernel for a bind to "));
    EXPECT_THAT(result.err, HasSubstr(":20000: No buffer space available; "));
  }
}

TEST(Why, AnswersInJson) {
  socket_zoo zoo{loopback};
  const std::uint16_t port = zoo.listen();
  const run_result result = tidewait_command({"why", "--json", std::to_string(port)});
  EXPECT_EQ(result.status, 1);
  const json answer = json::parse(result.out);
  EXPECT_EQ(answer["free"], false);
  EXPECT_EQ(answer["local"], (json{{"address", "127.0.0.1"}, {"port", port}}));
  EXPECT_EQ(answer["bind"]["reuse_address"]["errno"], EADDRINUSE);
  EXPECT_EQ(answer["causes"][0]["cause"], "listener_of_other");
  EXPECT_EQ(answer["conflicting"][0]["owners"][0]["pid"], ::getpid());
  EXPECT_EQ(answer["leased_by"]["pid"], ::getpid());
}

TEST(WhyZero, SaysWhoUsesTheEphemeralRange) {
  socket_zoo zoo{loopback};
  zoo.listen();
  const run_result result = why("0");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out,
              AllOf(StartsWith("tidewait: port 0 lets the kernel choose a port of the ephemeral "
                               "range "),
                    HasSubstr("\n  next bind to port 0: succeeds\n"), HasSubstr("  seen by: ")));
  const json answer = json::parse(tidewait_command({"why", "--json", "0"}).out);
  EXPECT_EQ(answer["free"], true);
  EXPECT_LT(answer["first"], answer["last"]);
  EXPECT_TRUE(answer["by_holder"].is_array());
}

struct misuse {
  std::vector<std::string> arguments;
  std::string answer;
};

class WhyMisused : public testing::TestWithParam<misuse> {};

TEST_P(WhyMisused, SaysWhatToWrite) {
  const run_result result = tidewait_command(GetParam().arguments);
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "tidewait why: " + GetParam().answer + "\nSee tidewait why --help\n");
}

INSTANTIATE_TEST_SUITE_P(
    Why, WhyMisused,
    testing::Values(
        misuse{{"why"}, "port is required"},
        misuse{{"why", "127.0.0.1:0"}, "'0' is not a port: write a number from 1 to 65535"},
        misuse{{"why", "65536"}, "'65536' is not a port: write a number from 1 to 65535"},
        misuse{{"why", "http"},
               "'http' is not a port: write a number from 1 to 65535; or ./http for the path of a "
               "Unix "
               "socket, @http for an abstract name"},
        misuse{{"why", ""}, "'' is not a port: write a number from 1 to 65535"},
        misuse{{"why", "127.0.0.1:"}, "'' is not a port: write a number from 1 to 65535"},
        misuse{{"why", "127.0.0.1:80x"}, "'80x' is not a port: write a number from 1 to 65535"},
        misuse{{"why", "::1:80"}, "write an IPv6 address in brackets: [::1]:80"},
        misuse{
            {"why", "localhost:80"},
            "'localhost' is not an IP address, and names are not looked up: write 127.0.0.1:80 or "
            "[::1]:80, or 80 for any address"}));

}  // namespace
