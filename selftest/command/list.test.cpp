// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "../support/forked.hpp"
#include "namespaces.hpp"
#include "run_command.hpp"
#include "socket_zoo.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

const tidewait::ip_address loopback{tidewait::ip_address::v4_bytes{127, 0, 0, 1}};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

/// The rows of `tidewait list` on these ports, the columns one blank apart.
std::vector<std::string> rows(std::vector<std::string> arguments,
                              const std::vector<std::uint16_t>& ports) {
  arguments.insert(arguments.begin(), "list");
  arguments.emplace_back("--port");
  for (const std::uint16_t port : ports) arguments.push_back(std::to_string(port));
  const run_result result = tidewait_command(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  std::vector<std::string> lines = lines_of(result.out);
  EXPECT_FALSE(lines.empty());
  if (!lines.empty()) lines.erase(lines.begin());
  for (std::string& line : lines) {
    line = std::regex_replace(line, std::regex{" +"}, " ");
    for (std::size_t i = 0; i < ports.size(); ++i) {
      line = std::regex_replace(line, std::regex{":" + std::to_string(ports[i]) + "\\b"},
                                ":PORT" + std::to_string(i + 1));
    }
    line = std::regex_replace(line, std::regex{"\\b" + std::to_string(::getpid()) + "/"}, "PID/");
    line = std::regex_replace(line, std::regex{":[0-9]{4,5}\\b"}, ":PEER");
    line = std::regex_replace(line, std::regex{"[0-9]+\\.[0-9] s"}, "T s");
    line = std::regex_replace(line, std::regex{" [0-9a-f]+$"}, " COOKIE");
  }
  return lines;
}

json list_json(std::vector<std::string> arguments, const run_options& options = {}) {
  arguments.insert(arguments.begin(), {"list", "--json"});
  const run_result result = tidewait_command(arguments, options);
  EXPECT_EQ(result.status, 0) << result.err;
  return json::parse(result.out);
}

TEST(List, ShowsWhatNetstatShowsAndMore) {
  socket_zoo zoo{loopback};
  const std::uint16_t listener = zoo.listen(16);
  const std::uint16_t bound = zoo.bind_only();
  const std::uint16_t closed = zoo.time_wait();
  const std::uint16_t backlog = zoo.not_accepted();
  const std::uint16_t udp = zoo.bind_udp();
  const std::string us = "PID/selftest_comman";
  EXPECT_THAT(
      rows({}, {listener, bound, closed, backlog, udp}),
      UnorderedElementsAre(
          "tcp 0 16 127.0.0.1:PORT1 - LISTEN - " + us + ' ' + us + " COOKIE",
          "tcp 0 0 127.0.0.1:PORT2 - BOUND - " + us + ' ' + us + " COOKIE",
          "tcp 0 1024 127.0.0.1:PORT3 - LISTEN - " + us + ' ' + us + " COOKIE",
          "tcp 0 0 127.0.0.1:PORT3 127.0.0.1:PEER TIME_WAIT T s (kernel) " + us + " COOKIE",
          "tcp 1 1024 127.0.0.1:PORT4 - LISTEN - " + us + ' ' + us + " COOKIE",
          "tcp 0 0 127.0.0.1:PORT4 127.0.0.1:PEER ESTABLISHED - (not accepted) " + us + " COOKIE",
          "udp 0 0 127.0.0.1:PORT5 - UNCONN - " + us + ' ' + us + " COOKIE"));
}

TEST(List, HasColumnsThatStandBelowTheirHeadings) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const auto lines = lines_of(tidewait_command({"list", "--port", port}).out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].find("local"), lines[1].find("127.0.0.1:" + port));
  EXPECT_EQ(lines[0].find("state"), lines[1].find("LISTEN"));
  EXPECT_EQ(lines[0].find("leased by"), lines[1].rfind(std::to_string(::getpid()) + '/'));
}

TEST(List, PutsListenersFirstAndThenGoesByPort) {
  socket_zoo zoo{loopback};
  std::vector<std::uint16_t> ports{zoo.time_wait(), zoo.listen(), zoo.bind_only()};
  std::sort(ports.begin(), ports.end());
  const auto found = rows({}, ports);
  ASSERT_EQ(found.size(), 4U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(found[i], HasSubstr(":PORT" + std::to_string(i + 1) + " "));
  }
  EXPECT_THAT(found[3], HasSubstr("TIME_WAIT"));
}

TEST(List, KeepsToTheStatesThatAreAskedFor) {
  socket_zoo zoo{loopback};
  const std::vector<std::uint16_t> ports{zoo.time_wait(), zoo.bind_only(), zoo.bind_udp()};
  EXPECT_THAT(rows({"--state", "time-wait", "BOUND"}, ports),
              UnorderedElementsAre(HasSubstr(" TIME_WAIT "), HasSubstr(" BOUND ")));
  EXPECT_THAT(rows({"--state", "unconn"}, ports), ElementsAre(HasSubstr(" UNCONN ")));
  EXPECT_THAT(rows({"--listening"}, ports),
              ElementsAre(HasSubstr(" LISTEN "), HasSubstr(" UNCONN ")));
}

TEST(List, KeepsToTheProtocolThatIsAskedFor) {
  socket_zoo zoo{loopback};
  const std::vector<std::uint16_t> ports{zoo.listen(), zoo.bind_udp()};
  EXPECT_THAT(rows({"--tcp"}, ports), ElementsAre(HasSubstr("tcp ")));
  EXPECT_THAT(rows({"--udp"}, ports), ElementsAre(HasSubstr("udp ")));
  EXPECT_EQ(rows({"--tcp", "--udp"}, ports).size(), 2U);
}

TEST(List, KeepsToTheProcessesThatAreAskedFor) {
  socket_zoo zoo{loopback};
  const std::vector<std::uint16_t> ports{zoo.listen()};
  EXPECT_EQ(rows({"--process", std::to_string(::getpid())}, ports).size(), 1U);
  EXPECT_EQ(rows({"--process", "selftest_command"}, ports).size(), 1U) << "comm is cut to 15 bytes";
  EXPECT_EQ(rows({"--process", "nobody", "selftest_comman"}, ports).size(), 1U);
  EXPECT_THAT(rows({"--process", "selftest"}, ports), IsEmpty());
  EXPECT_THAT(rows({"--process", "1"}, ports), IsEmpty());
}

TEST(List, NamesEveryHolderOfASharedSocket) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const forked child{[](auto) { ::pause(); }};
  const json sockets = list_json({"--port", port})["sockets"];
  ASSERT_EQ(sockets.size(), 1U);
  std::vector<int> pids;
  for (const json& owner : sockets[0]["owners"]) pids.push_back(owner["pid"]);
  EXPECT_THAT(pids, UnorderedElementsAre(::getpid(), child.pid()));
  EXPECT_EQ(sockets[0]["leased_by"]["pid"], ::getpid()) << "the child has only inherited the lock";
}

TEST(List, AsksTheLockOfALeaseNothing) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  // More often than the lock's backlog has room for.
  for (int i = 0; i < 70; ++i) {
    const json sockets = list_json({"--tcp", "--port", port})["sockets"];
    ASSERT_EQ(sockets[0]["leased_by"]["pid"], ::getpid()) << i;
  }
}

TEST(List, PrintsOneSocketPerLineOfJson) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.time_wait());
  const auto lines = lines_of(tidewait_command({"list", "--json", "--port", port}).out);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(json::parse(lines[1].substr(0, lines[1].size() - 1))["state"], "LISTEN");
  EXPECT_EQ(json::parse(lines[2])["state"], "TIME_WAIT");
  EXPECT_GT(json::parse(lines[2])["time_left_ms"], 0);
}

TEST(List, IsAnEmptyArrayWhereThereIsNothing) {
  const tidewait::port_lease port = tidewait::lease_port();
  const json answer = list_json({"--port", std::to_string(port.number())});
  EXPECT_EQ(answer["sockets"], json::array());
  EXPECT_EQ(answer["schema"], 1);
}

struct misuse {
  std::vector<std::string> arguments;
  std::string answer;
};

class ListMisused : public testing::TestWithParam<misuse> {};

TEST_P(ListMisused, SaysWhatToWrite) {
  const run_result result = tidewait_command(GetParam().arguments);
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, AllOf(HasSubstr("tidewait list: "), HasSubstr(GetParam().answer),
                                HasSubstr("\nSee tidewait list --help\n")));
}

INSTANTIATE_TEST_SUITE_P(
    List, ListMisused,
    testing::Values(misuse{{"list", "--port", "99999"},
                           "'99999' is not a port: write a number from 1 to 65535"},
                    misuse{{"list", "--state", "OPEN"},
                           "'OPEN' is not a socket state; expected ESTABLISHED, SYN_SENT"},
                    misuse{{"list", "--state", "LISTEN", "--listening"}, "--listening"},
                    misuse{{"list", "8080"}, "8080"}));

/// Makes the process that will be the command another user's.
void become_nobody() {
  constexpr uid_t nobody = 65534;
  if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) {
    throw std::system_error{errno, std::generic_category(), "skip: becoming nobody"};
  }
}

TEST(ListAsAnotherUser, SaysOnceThatRootWouldSeeTheOwners) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  socket_zoo zoo{loopback};
  const std::string first = std::to_string(zoo.listen());
  const std::string second = std::to_string(zoo.listen());
  const run_result result =
      tidewait_command({"list", "--port", first, second}, {{}, become_nobody});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(lines_of(result.out).size(), 3U);
  EXPECT_THAT(result.out, HasSubstr("(hidden)"));
  EXPECT_THAT(result.out, Not(HasSubstr("(nobody)")));
  EXPECT_EQ(result.err,
            "tidewait list: owners hidden: other users' processes (root with CAP_SYS_PTRACE sees "
            "them; in a container: docker run --cap-add SYS_PTRACE)\n");

  const json answer =
      json::parse(tidewait_command({"list", "--json", "--port", first}, {{}, become_nobody}).out);
  EXPECT_EQ(answer["sockets"][0]["ownership"], "hidden");
  EXPECT_EQ(answer["sockets"][0]["leased_by"], json::object()) << "leased by a hidden process";
  EXPECT_EQ(answer["seen"]["owners"], "own_user_only");
}

TEST(ListAsAnotherUser, SaysNothingWhereNothingIsHidden) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const tidewait::port_lease port = tidewait::lease_port();
  const run_result result =
      tidewait_command({"list", "--port", std::to_string(port.number())}, {{}, become_nobody});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
}

/// Makes the process that will be the command root in name alone, as in many containers.
void drop_capabilities() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
       ++capability) {
    permitted(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "dropping capabilities");
  }
}

TEST(ListAsRootWithoutRights, CallsNoSocketOwnerless) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can have no rights";
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const run_result result = tidewait_command({"list", "--port", port}, {{}, drop_capabilities});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, Not(HasSubstr("(nobody)")));
  EXPECT_THAT(result.err, HasSubstr("owners hidden"));
}

TEST(ListUnderHidepid, SaysThatOwnersAreHidden) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const run_result result =
      tidewait_command({"list", "--port", port}, {{}, [] {
                                                    mount_over_proc("proc", "hidepid=2");
                                                    become_nobody();
                                                  }});
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("(hidden)"));
  EXPECT_EQ(result.err,
            "tidewait list: owners hidden: /proc is mounted with hidepid (root with CAP_SYS_PTRACE "
            "sees them)\n");
}

TEST(ListWithoutProc, ShowsTheSocketsAndSaysThatOwnersAreHidden) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const run_result result =
      tidewait_command({"list", "--port", port}, {{}, [] { mount_over_proc("tmpfs", ""); }});
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("LISTEN"), HasSubstr("(hidden)")));
  EXPECT_EQ(result.err, "tidewait list: owners hidden: /proc cannot be read\n");
}

TEST(ListWithoutProcAndNetlink, CannotLookAndSaysSo) {
  const run_result result = tidewait_command({"list"}, {{}, [] {
                                                          mount_over_proc("tmpfs", "");
                                                          forbid_netlink();
                                                        }});
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, AllOf(HasSubstr("tidewait: looking at the sockets of this machine"),
                                HasSubstr("sock_diag refused"), HasSubstr("mount /proc")));
}

TEST(ListWithoutNetlink, StepsDownToProcAndSaysSo) {
  socket_zoo zoo{loopback};
  const std::string port = std::to_string(zoo.listen());
  const run_result result =
      tidewait_command({"list", "--tcp", "--port", port}, {{}, forbid_netlink});
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("LISTEN"), HasSubstr("/selftest_comman")));
  EXPECT_THAT(result.err, AllOf(HasSubstr("tidewait list: TCP sockets read from /proc/net"),
                                HasSubstr("tidewait list: bound sockets not visible")));
}

}  // namespace
