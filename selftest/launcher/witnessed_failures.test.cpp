// SPDX-License-Identifier: BSL-1.0
//
// Binds that fail, and why.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "bind_calls.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::IsEmpty;
using testing::SizeIs;
using tidewait::command::certainty;
using witness::number;
using witness::numbers;
using witness::outcome;
using witness::run;
using witness::setup;
using witness::tcp_socket;
using witness::try_bind;

TEST(BindWitness, InfersThatASecondBindFails) {
  const auto ports = tidewait::lease_ports(2, tidewait::protocol_set::tcp);
  const outcome result = run([&](auto say) {
    const int fd = tcp_socket();
    say(numbers({try_bind(fd, ports[0].number()), try_bind(fd, ports[1].number())}));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 " + number(EINVAL));
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_FALSE(result.binds[0].error);
  EXPECT_EQ(result.binds[1].error, std::errc::invalid_argument);
  EXPECT_THAT(result.failures, IsEmpty());
}

/// The culprit leaves while the caller waits: the call was made by the caller, and succeeds.
TEST(BindWitness, TakesAFailureBackThatDoesNotCome) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const auto port = tidewait::lease_port(tidewait::protocol_set::tcp_and_udp);
    int taken = sockets::bind_to(port.number(), type, false);
    witness::barrier looked;
    int explained = 0;
    setup with;
    with.why = [&](const auto& bind) {
      EXPECT_EQ(bind.error, std::errc::address_in_use);
      EXPECT_EQ(bind.asked->port, port.number());
      ++explained;
      ::close(std::exchange(taken, -1));
      return std::nullopt;
    };
    with.settled = [&](const auto&) { looked.open(); };
    const outcome result = run(
        [&](auto say) {
          ::close(taken);  // its copy
          say(number(try_bind(::socket(AF_INET, type | SOCK_CLOEXEC, 0), port.number())));
          looked.wait();
        },
        with);
    if (taken >= 0) ::close(taken);
    SKIP_WITHOUT_FILTER(result);
    EXPECT_EQ(result.said, "0 ") << "the caller had not waited, or its call was made for it";
    EXPECT_EQ(explained, 1);
    EXPECT_THAT(result.failures, IsEmpty());
    ASSERT_THAT(result.binds, SizeIs(1));
    EXPECT_FALSE(result.binds[0].error);
    EXPECT_EQ(result.binds[0].sure, certainty::seen);
  }
}

/// A socket that was refused gets another port when it sends.
TEST(BindWitness, KeepsAFailureAfterWhichTheSocketIsBoundElsewhere) {
  const auto port = tidewait::lease_port(tidewait::protocol_set::udp);
  const int taken = sockets::bind_to(port.number(), SOCK_DGRAM, false);
  witness::barrier looked;
  setup with;
  with.settled = [&](const auto&) { looked.open(); };
  const outcome result = run(
      [&](auto say) {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        say(number(try_bind(fd, port.number())));
        const sockaddr_in there = sockets::address(port.number());
        ::sendto(fd, "", 0, 0, reinterpret_cast<const sockaddr*>(&there), sizeof there);
        looked.wait();
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, number(EADDRINUSE));
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_EQ(result.binds[0].error, std::errc::address_in_use);
  EXPECT_THAT(result.failures, SizeIs(1));
}

TEST(BindWitness, ExplainsEachEndpointOnceAndCounts) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::listen_on(port.number(), false);
  int explained = 0;
  setup with;
  with.limits.same_culprit = std::chrono::hours{1};
  with.why = [&](const auto&) {
    ++explained;
    return std::nullopt;
  };
  const outcome result = run(
      [&](auto say) {
        int failed = 0;
        for (int i = 0; i < 20; ++i) failed += try_bind(tcp_socket(), port.number()) == EADDRINUSE;
        failed += try_bind(tcp_socket(), port.number(), "0.0.0.0") == EADDRINUSE;
        say(number(failed));
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "21 ");
  EXPECT_EQ(explained, 2);
  ASSERT_THAT(result.failures, SizeIs(2));
  EXPECT_EQ(result.failures[0].count, 20U);
  EXPECT_EQ(result.failures[1].count, 1U);
  EXPECT_EQ(result.binds.front().sure, certainty::inferred);
}

TEST(BindWitness, TellsTheCulpritsOnAnEndpointApart) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::listen_on(port.number(), false);
  std::uint64_t culprit = 0;
  setup with;
  with.limits.same_culprit = {};
  with.why = [&](const auto&) {
    tidewait::diagnosis why;
    why.conflicting.emplace_back();
    why.conflicting.back().cookie = ++culprit / 4;  // three calls, then four for each
    return std::optional{why};
  };
  const outcome result = run(
      [&](auto) {
        for (int i = 0; i < 11; ++i) try_bind(tcp_socket(), port.number());
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.failures, SizeIs(3));
  EXPECT_EQ(result.failures[0].count, 3U);
  EXPECT_EQ(result.failures[1].count, 4U);
  EXPECT_EQ(result.failures[2].count, 4U);
}

TEST(BindWitness, SurvivesAnExplanationThatThrows) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::listen_on(port.number(), false);
  setup with;
  with.why = [&](const auto&) -> std::optional<tidewait::diagnosis> {
    throw std::runtime_error{"out of descriptors"};
  };
  const outcome result =
      run([&](auto say) { say(number(try_bind(tcp_socket(), port.number()))); }, with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, number(EADDRINUSE));
}

TEST(BindWitness, InfersAnAddressThatIsNotOfThisMachine) {
  const outcome result = run([](auto say) {
    say(number(try_bind(tcp_socket(), 8080, "192.0.2.1")));
    say(number(try_bind(tcp_socket(), 0, "192.0.2.1")));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, numbers({EADDRNOTAVAIL, EADDRNOTAVAIL}));
  ASSERT_THAT(result.failures, SizeIs(2));
  EXPECT_EQ(result.failures[0].first.error, std::errc::address_not_available);
}

TEST(BindWitness, InfersThatAnUnprivilegedCallerGetsNoPrivilegedPort) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, so that the caller has fewer rights";
  const std::string said = in_private_network(
      [](auto say) {
        const outcome result = run([](auto say_inner) {
          say_inner(number(try_bind(tcp_socket(), 81)));
          witness::become_nobody();
          say_inner(number(try_bind(tcp_socket(), 82)));
        });
        if (result.skip()) return say("skip: " + result.why_skip());
        std::string errors;
        for (const auto& each : result.binds) errors += number(each.error.value());
        return say(result.said + errors);
      },
      user_ids::kept);
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "0 " + number(EACCES) + "0 " + number(EACCES));
}

TEST(BindWitness, SeesThatAListenFailed) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::bind_to(port.number());
  witness::barrier both_called;
  setup with;
  with.settled = [&](const auto& binds) {
    if (binds.front().listening || binds.front().error) both_called.open();
  };
  const outcome result = run(
      [&](auto say) {
        const int fd = tcp_socket(SO_REUSEADDR);
        say(number(try_bind(fd, port.number())));
        // Between the two calls, as if it were another server: the first to listen wins.
        forked other{[&](auto) { ::listen(taken, 8); }};
        other.wait();
        say(number(::listen(fd, 8) == 0 ? 0 : errno));
        both_called.wait();
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 " + number(EADDRINUSE));
  ASSERT_FALSE(result.binds.empty());
  EXPECT_EQ(result.binds[0].error, std::errc::address_in_use);
  EXPECT_FALSE(result.binds[0].listening);
  EXPECT_THAT(result.failures, SizeIs(1));
}

}  // namespace
