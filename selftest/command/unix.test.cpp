// SPDX-License-Identifier: BSL-1.0
//
// `tidewait why` and `tidewait list` for Unix sockets.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <tidewait/port_lease.hpp>

#include "../support/unix_server.hpp"
#include "run_command.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string own_name(const char* name) {
  return "@selftest-" + std::to_string(::getpid()) + '-' + name;
}

TEST(WhyUnix, SaysWhoListensAndThatAFileIsStale) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  auto server = serve_unix(path);
  const std::string pid = std::to_string(::getpid());
  run_result result = tidewait_command({"why", path});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, AllOf(StartsWith("tidewait: " + path + " is in use\n"),
                                HasSubstr("  why: pid " + pid +
                                          " (selftest_comman) is listening "
                                          "on it\n")));
  server.reset();
  result = tidewait_command({"why", path});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, StartsWith("tidewait: " + path + " is a stale socket file\n"));
  ::unlink(path.c_str());
  result = tidewait_command({"why", path});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "tidewait: " + path + " is free\n");
}

TEST(WhyUnix, KnowsAnAbstractNameInJson) {
  const auto server = serve_unix(own_name("why"), SOCK_SEQPACKET);
  const run_result result = tidewait_command({"why", own_name("why"), "--json"});
  EXPECT_EQ(result.status, 1);
  const json answer = json::parse(result.out);
  EXPECT_EQ(answer["schema"], 1);
  EXPECT_EQ(answer["protocol"], "unix");
  EXPECT_EQ(answer["name"], own_name("why"));
  EXPECT_EQ(answer["abstract"], true);
  EXPECT_EQ(answer["free"], false);
  EXPECT_EQ(answer["causes"][0]["cause"], "listener_of_other");
  const json& socket = answer["conflicting"][0];
  EXPECT_EQ(socket["type"], "seqpacket");
  EXPECT_EQ(socket["state"], "LISTEN");
  EXPECT_EQ(socket["owners"][0]["pid"], ::getpid());
  EXPECT_EQ(socket["owners"][0]["fds"][0], server.get());
  EXPECT_EQ(answer["seen"]["unix"], "sock_diag");
  EXPECT_EQ(tidewait_command({"why", own_name("free")}).status, 0);
}

TEST(WhyUnix, TellsHowToWriteAName) {
  run_result result = tidewait_command({"why", "a.sock"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("./a.sock for the path of a Unix socket, @a.sock for an "
                                    "abstract name"));
  EXPECT_EQ(tidewait_command({"why", "@"}).status, 2);
  EXPECT_EQ(tidewait_command({"why", "./a.sock", "--udp"}).status, 2);
}

TEST(ListUnix, ShowsNamedSocketsWithTheirHolders) {
  const socket_folder there;
  const std::string path = there / "with blank.sock";
  const auto server = serve_unix(path);
  const auto datagram = serve_unix(own_name("list"), SOCK_DGRAM);
  const std::string holder = std::to_string(::getpid()) + "/selftest_comman";
  const run_result all = tidewait_command({"list", "--unix"});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_THAT(all.out, StartsWith("type "));
  EXPECT_THAT(all.out,
              AllOf(ContainsRegex("stream +0 +8 +" + path + " +LISTEN +" + holder),
                    ContainsRegex("datagram +0 +0 +" + own_name("list") + " +BOUND +" + holder)));
  const run_result listeners = tidewait_command({"list", "--unix", "--state", "LISTEN"});
  EXPECT_THAT(listeners.out, AllOf(HasSubstr(path), Not(HasSubstr(own_name("list")))));
  const run_result ours =
      tidewait_command({"list", "--unix", "--process", std::to_string(::getpid()), "--json"});
  const json answer = json::parse(ours.out);
  std::vector<std::string> names;  // without the locks of leases of other tests in this process
  for (const json& each : answer["sockets"]) {
    if (each["note"].is_null()) names.push_back(each["name"]);
  }
  EXPECT_EQ(names, (std::vector<std::string>{path, own_name("list")}));
}

TEST(ListUnix, LabelsTheLocksOfLeases) {
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  const run_result result = tidewait_command({"list", "--unix", "-l"});
  EXPECT_THAT(result.out,
              ContainsRegex("@tidewait/tcp/" + number + " +LISTEN +" + std::to_string(::getpid()) +
                            "/[^ ]+ +lease of tcp port " + number));
}

TEST(ListUnix, GoesWithNoPortAndNoProtocol) {
  EXPECT_EQ(tidewait_command({"list", "--unix", "--tcp"}).status, 2);
  EXPECT_EQ(tidewait_command({"list", "--unix", "--port", "80"}).status, 2);
}

TEST(ListUnix, NamesSteerNoTerminal) {
  const auto server = serve_unix(own_name("\x1b[31m\n::error::x"));
  const run_result result = tidewait_command({"list", "--unix"});
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(result.out.find("\n::error"), std::string::npos);
}

}  // namespace
