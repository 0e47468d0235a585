// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "bind_calls.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using tidewait::command::certainty;
using tidewait::command::socket_kind;
using witness::number;
using witness::numbers;
using witness::outcome;
using witness::own_name;
using witness::run;
using witness::setup;
using witness::tcp_socket;
using witness::try_bind;

TEST(BindWitness, RecordsAServerOnAPortThatTheKernelChose) {
  const outcome result = run([](auto say) {
    const int fd = tcp_socket(SO_REUSEADDR);
    say(numbers({try_bind(fd, 0), ::listen(fd, 8)}));
    sockaddr_in got{};
    socklen_t size = sizeof got;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&got), &size);
    say(numbers({ntohs(got.sin_port), ::getpid()}));
  });
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(1));
  const auto& bind = result.binds.front();
  ASSERT_TRUE(bind.got);
  EXPECT_EQ(result.said, "0 0 " + numbers({bind.got->port, bind.pid}));
  EXPECT_EQ(bind.kind, socket_kind::tcp);
  EXPECT_EQ(to_string(*bind.asked), "127.0.0.1:*");
  EXPECT_TRUE(bind.kernel_chose_port);
  EXPECT_TRUE(bind.reuse_address);
  EXPECT_FALSE(bind.reuse_port);
  EXPECT_TRUE(bind.listening);
  EXPECT_FALSE(bind.error);
  EXPECT_EQ(bind.sure, certainty::seen);
  EXPECT_EQ(bind.thread, bind.pid);
  EXPECT_NE(bind.cookie, 0U);
  EXPECT_NE(bind.net_cookie, 0U);
  EXPECT_EQ(bind.command, own_name());
  EXPECT_EQ(bind.partial, "");
}

TEST(BindWitness, RecordsAnExplicitPortOfUdpAndOfIpv6) {
  const auto leases = tidewait::lease_ports(2, tidewait::protocol_set::tcp_and_udp);
  witness::barrier looked;
  setup with;
  with.settled = [&](const auto& binds) {
    if (binds.size() == 2) looked.open();
  };
  const outcome result = run(
      [&](auto say) {
        say(number(sockets::bind_to(leases[0].number(), SOCK_DGRAM, false) < 0));
        const int six = ::socket(AF_INET6, SOCK_STREAM, 0);
        const int on = 1;
        ::setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        sockaddr_in6 where{};
        where.sin6_family = AF_INET6;
        where.sin6_port = htons(leases[1].number());
        where.sin6_addr = in6addr_loopback;
        const bool bound = ::bind(six, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
        say(number(bound ? 0 : errno));
        looked.wait();
      },
      with);
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.said, "0 0 ");
  EXPECT_EQ(result.binds[0].kind, socket_kind::udp);
  EXPECT_EQ(result.binds[0].asked->port, leases[0].number());
  EXPECT_FALSE(result.binds[0].kernel_chose_port);
  EXPECT_EQ(result.binds[0].sure, certainty::seen);
  EXPECT_EQ(to_string(*result.binds[1].asked), "[::1]:" + std::to_string(leases[1].number()));
  EXPECT_EQ(result.binds[1].scope, tidewait::ipv6_only::yes);
  EXPECT_FALSE(result.binds[1].listening);
}

TEST(BindWitness, LeavesUnixSocketsAlone) {
  const std::string name = "tidewait-selftest-" + std::to_string(::getpid());
  const outcome result = run([&](auto say) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::memcpy(where.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(sizeof where.sun_family + 1 + name.size());
    say(numbers({::bind(fd, reinterpret_cast<sockaddr*>(&where), size), ::listen(fd, 1)}));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 0 ");
  ASSERT_THAT(result.binds, SizeIs(1)) << "a bind and the listen that follows it";
  EXPECT_EQ(result.binds.front().kind, socket_kind::local);
  EXPECT_EQ(result.binds.front().path, '@' + name);
  EXPECT_TRUE(result.binds.front().listening);
  EXPECT_FALSE(result.binds.front().kernel_chose_port);
  EXPECT_THAT(result.failures, IsEmpty());
}

TEST(BindWitness, RecordsAListenThatNoBindCameBefore) {
  const outcome result = run([](auto say) { say(number(::listen(tcp_socket(), 8))); });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_FALSE(result.binds.front().asked);
  EXPECT_TRUE(result.binds.front().kernel_chose_port);
  EXPECT_TRUE(result.binds.front().listening);
}

TEST(BindWitness, TellsAListenAfterAFailedBindFromThatBind) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::listen_on(port.number(), false);
  const outcome result = run([&](auto say) {
    const int fd = tcp_socket();
    say(numbers({try_bind(fd, port.number()), ::listen(fd, 8)}));
  });
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, number(EADDRINUSE) + "0 ");
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.binds[0].error, std::errc::address_in_use);
  EXPECT_FALSE(result.binds[0].listening);
  EXPECT_TRUE(result.binds[1].kernel_chose_port);
  EXPECT_TRUE(result.binds[1].listening);
}

TEST(BindWitness, PassesOnWhatCannotBeRead) {
  const outcome result = run([](auto say) {
    const auto* const nowhere = reinterpret_cast<const sockaddr*>(8);
    say(number(::bind(tcp_socket(), nowhere, 16) == 0 ? 0 : errno));
    say(numbers({try_bind(-1, 0), try_bind(0, 0)}));
    say(number(::listen(-1, 1) == 0 ? 0 : errno));
    const sockaddr_in where = sockets::address(0);
    const auto* const address = reinterpret_cast<const sockaddr*>(&where);
    say(number(::bind(tcp_socket(), address, 0xffffff) == 0 ? 0 : errno));
    say(number(::bind(tcp_socket(), address, 0) == 0 ? 0 : errno));
  });
  SKIP_WITHOUT_FILTER(result);
  const int not_socket = ENOTSOCK;
  EXPECT_THAT(result.said, HasSubstr(numbers({EFAULT, EBADF, not_socket})));
  EXPECT_THAT(result.said, HasSubstr(numbers({EBADF, EINVAL, EINVAL})));
  EXPECT_THAT(result.failures, IsEmpty());
}

TEST(BindWitness, LetsTwoServersShareAPort) {
  const auto port = tidewait::lease_port();
  const outcome result = run([&](auto say) {
    for (int i = 0; i < 2; ++i) {
      const int fd = tcp_socket(SO_REUSEPORT);
      say(numbers({try_bind(fd, port.number()), ::listen(fd, 8)}));
    }
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 0 0 0 ");
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_TRUE(result.binds[1].reuse_port);
  EXPECT_FALSE(result.binds[1].error);
}

TEST(BindWitness, KnowsThatOnlyOneUserMayShareAPort) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  const auto port = tidewait::lease_port();
  const int root = tcp_socket(SO_REUSEPORT);
  ASSERT_EQ(try_bind(root, port.number()), 0);
  const outcome other = run([&](auto say) {
    witness::become_nobody();
    say(number(try_bind(tcp_socket(SO_REUSEPORT), port.number())));
  });
  ::close(root);
  SKIP_WITHOUT_FILTER(other);
  EXPECT_EQ(other.said, number(EADDRINUSE));
  EXPECT_EQ(other.binds.front().error, std::errc::address_in_use);
  const outcome same = run([&](auto say) {
    witness::become_nobody();
    for (int i = 0; i < 2; ++i) say(number(try_bind(tcp_socket(SO_REUSEPORT), port.number())));
  });
  EXPECT_EQ(same.said, "0 0 ");
  EXPECT_FALSE(same.binds.back().error);
}

TEST(BindWitness, KeepsNoPortTaken) {
  const auto port = tidewait::lease_port();
  const outcome result = run([&](auto say) {
    int failed = 0;
    for (int i = 0; i < 300; ++i) {
      const int fd = tcp_socket();
      failed += try_bind(fd, port.number()) != 0 || ::listen(fd, 1) != 0;
      ::close(fd);
    }
    say(number(failed));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  EXPECT_THAT(result.binds, SizeIs(300));
  EXPECT_THAT(result.failures, IsEmpty());
}

}  // namespace
