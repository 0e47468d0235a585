// SPDX-License-Identifier: BSL-1.0
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <tidewait/bound_socket.hpp>

#include "namespaces.hpp"
#include "run_command.hpp"
#include "socket_zoo.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const tidewait::ip_address loopback{tidewait::ip_address::v4_bytes{127, 0, 0, 1}};

run_result wait_for(const std::string& where, std::vector<std::string> more) {
  more.insert(more.begin(), {"wait", where});
  return tidewait_command(more);
}

TEST(Wait, SaysAtOnceWhatIsSo) {
  socket_zoo zoo{loopback};
  const std::string busy = std::to_string(zoo.listen());
  const std::string datagrams = std::to_string(zoo.bind_udp());
  const tidewait::port_lease lease = tidewait::lease_port();
  const std::string free = std::to_string(lease.number());
  const run_result listening = wait_for(busy, {"--listening"});
  EXPECT_EQ(listening.status, 0) << listening.err;
  EXPECT_THAT(listening.out,
              HasSubstr("127.0.0.1:" + busy + " is listening: pid " + std::to_string(::getpid())));
  EXPECT_EQ(wait_for("127.0.0.1:" + busy, {"--listening"}).status, 0);
  EXPECT_EQ(wait_for(datagrams, {"--listening", "--udp"}).status, 0);
  EXPECT_EQ(wait_for(free, {"--free"}).status, 0);
  EXPECT_EQ(wait_for("[::1]:" + free, {"--free"}).status, 0);
}

TEST(Wait, SaysAtTheDeadlineWhy) {
  socket_zoo zoo{loopback};
  const std::string busy = std::to_string(zoo.listen());
  const run_result free = wait_for(busy, {"--free", "--timeout", "30ms"});
  EXPECT_EQ(free.status, 1);
  EXPECT_THAT(free.out, HasSubstr("is listening on 127.0.0.1:" + busy));
  EXPECT_THAT(free.err, HasSubstr("port " + busy + " still fails after "));

  const run_result elsewhere = wait_for("127.0.0.2:" + busy, {"--listening", "--timeout", "30ms"});
  EXPECT_EQ(elsewhere.status, 1);
  EXPECT_THAT(elsewhere.err, HasSubstr("nothing listens on 127.0.0.2:" + busy + " after "));
  EXPECT_THAT(elsewhere.out, HasSubstr("127.0.0.1:" + busy)) << "where it does listen";

  const std::string bound = std::to_string(zoo.bind_only());
  const run_result not_yet = wait_for(bound, {"--listening", "--timeout", "0"});
  EXPECT_EQ(not_yet.status, 1);
  EXPECT_THAT(not_yet.out, HasSubstr("without listening"));
}

TEST(Wait, SeesAServerThatComes) {
  const tidewait::port_lease port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  run_result result;
  std::thread waiter{[&] { result = wait_for(number, {"--listening", "--timeout", "60s"}); }};
  const tidewait::listening_socket server{tidewait::endpoint{loopback, port.number()}};
  waiter.join();
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

TEST(Wait, SeesAServerGo) {
  for (const char* const verb : {"wait", "why"}) {
    socket_zoo zoo{loopback};
    const tidewait::port_lease port = tidewait::lease_port();
    auto server =
        std::make_unique<tidewait::listening_socket>(tidewait::endpoint{loopback, port.number()});
    run_result result;
    std::thread waiter{[&] {
      const std::string where = std::to_string(port.number());
      result = std::string{verb} == "why" ? tidewait_command({"why", "--wait=60s", where})
                                          : wait_for(where, {"--free", "--timeout", "60s"});
    }};
    server.reset();
    waiter.join();
    EXPECT_EQ(result.status, 0) << verb << result.out << result.err;
  }
}

TEST(Wait, RefusesWhatItCannotUnderstand) {
  EXPECT_EQ(wait_for("8080", {}).status, 2);
  EXPECT_EQ(wait_for("8080", {"--free", "--listening"}).status, 2);
  EXPECT_EQ(wait_for("0", {"--free"}).status, 2);
  EXPECT_EQ(wait_for("8080", {"--free", "--timeout", "soon"}).status, 2);
  EXPECT_EQ(wait_for("8080", {"--free", "--timeout", "-1"}).status, 2);
  EXPECT_EQ(tidewait_command({"why", "--wait=soon", "8080"}).status, 2);
  const run_result no_unit = wait_for("8080", {"--free", "--timeout", "10"});
  EXPECT_EQ(no_unit.status, 2);
  EXPECT_THAT(no_unit.err, HasSubstr("'10' has no unit: write 10s or 10ms"));
  for (const std::string address : {"127.0.0.1", "[::1]"}) {
    EXPECT_THAT(wait_for(address, {"--free"}).err,
                HasSubstr('\'' + address + "' has no port: write " + address + ":8080"));
  }
  EXPECT_THAT(wait_for("::1", {"--free"}).err, HasSubstr("write [::1]:8080"));
}

TEST(Wait, CannotSayWhoListensWithoutATable) {
  run_options blind;
  blind.prepare = [] {
    mount_over_proc("tmpfs", "");
    forbid_netlink();
  };
  const run_result result =
      tidewait_command({"wait", "8080", "--listening", "--timeout", "60s"}, blind);
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 3) << result.out << result.err;
}

TEST(Wait, DoesNotNeedTheKernelToTellIt) {
  socket_zoo zoo{loopback};
  const std::string busy = std::to_string(zoo.listen());
  run_options deaf;
  deaf.prepare = [] { forbid_netlink(); };
  const run_result result = tidewait_command({"wait", busy, "--free", "--timeout", "30ms"}, deaf);
  SKIP_IF_NOT_PERMITTED(result);
  EXPECT_EQ(result.status, 1) << result.out << result.err;
}

TEST(Wait, DoesNotWaitForWhatNoTimeChanges) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may bind every port";
  const run_result result = wait_for("1", {"--free", "--timeout", "3600s"});
  EXPECT_EQ(result.status, 1) << result.out << result.err;
}

}  // namespace
