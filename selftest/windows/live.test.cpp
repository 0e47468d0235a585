// SPDX-License-Identifier: BSL-1.0
//
// Looks at real sockets of this process and of another.

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/tidewait.hpp>

#include "child.hpp"
#include "sockets.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string own_pid() { return std::to_string(::GetCurrentProcessId()); }

TEST(WindowsLook, AClosedServerIsClean) {
  tidewait::watch watch;
  {
    const tidewait::port_lease port = tidewait::lease_port();
    const auto listener = sockets::listening(port.number());
    const auto [client, server] = sockets::connection(listener);
  }
  const tidewait::report found = watch.look();
  for (const auto& each : found.findings) {
    for (const auto& socket : each.why.conflicting)
      EXPECT_EQ(socket.state, tidewait::socket_state::time_wait) << render(found);
  }
  EXPECT_THAT(found.blind.why, IsEmpty());
}

TEST(WindowsLook, AListenerLeftOpenFailsWithItsHolder) {
  tidewait::watch watch{{}, "Suite.Test"};
  const tidewait::port_lease port = tidewait::lease_port();
  const auto listener = sockets::listening(port.number());
  const tidewait::report found = watch.look();
  const std::string place = "127.0.0.1:" + std::to_string(port.number());
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(
      render(found),
      AllOf(HasSubstr("tidewait: Suite.Test left 1 socket behind on " + place),
            ContainsRegex("LISTEN +" + place + " +- +pid " + own_pid() + " selftest_library.exe "),
            HasSubstr("why: a socket of this process is still listening"),
            HasSubstr("leased at: live.test.cpp:"), HasSubstr("seen by: IP Helper"),
            Not(HasSubstr("SO_REUSEPORT")), Not(HasSubstr(" fd "))));
}

TEST(WindowsLook, AListenerOnAnyOtherPortFailsAsWell) {
  tidewait::watch watch;
  const auto listener = sockets::listening(0);
  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(render(found), HasSubstr(":" + std::to_string(sockets::port_of(listener))));
}

TEST(WindowsLook, AListenerFromBeforeIsNotTheTests) {
  const auto listener = sockets::listening(0);
  tidewait::watch watch;
  EXPECT_TRUE(watch.look().clean());
}

TEST(WindowsLook, ABoundSocketOnALeasedPortNeverPasses) {
  tidewait::watch watch;
  const tidewait::port_lease port = tidewait::lease_port();
  auto bound = sockets::bound(port.number());
  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(render(found), AllOf(HasSubstr("leased port " + std::to_string(port.number()) +
                                             " is taken, and no table shows by what"),
                                   HasSubstr("IP Helper lists none")));
  bound.close();
  EXPECT_TRUE(watch.look().clean());
}

TEST(WindowsLook, AListenerThatThePolicyToleratesPassesOnALeasedPort) {
  tidewait::policy rules;
  rules.tolerate(tidewait::socket_state::listen);
  tidewait::watch watch{rules};
  const tidewait::port_lease port = tidewait::lease_port();
  const auto listener = sockets::listening(port.number());
  const tidewait::report found = watch.look();
  EXPECT_TRUE(found.clean()) << render(found);
  EXPECT_EQ(found.tolerated.size(), 1U);
}

TEST(WindowsLook, AUdpSocketLeftOnALeasedPortFails) {
  tidewait::watch watch;
  const tidewait::port_lease port = tidewait::lease_port(tidewait::protocol_set::udp);
  const auto bound = sockets::bound(port.number(), SOCK_DGRAM);
  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(render(found), HasSubstr("a socket of this process is still bound to the UDP port"));
}

TEST(WindowsLook, ATimeWaitOnALeasedPortFails) {
  tidewait::watch watch;
  const tidewait::port_lease port = tidewait::lease_port();
  sockets::leave_time_wait(port.number());
  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(render(found),
              AllOf(ContainsRegex("TIME_WAIT +127.0.0.1:" + std::to_string(port.number())),
                    HasSubstr("this side closed the connection first"),
                    HasSubstr("let the client close first")));
}

// Whether a bind succeeds beside a TIME_WAIT is up to the system: if not, nobody can tell what else
// is on the port.
TEST(WindowsLook, ATimeWaitThatThePolicyToleratesPassesIfNothingElseCanBeThere) {
  tidewait::policy rules;
  rules.tolerate(tidewait::socket_state::time_wait);
  tidewait::watch watch{rules};
  const tidewait::port_lease port = tidewait::lease_port();
  sockets::leave_time_wait(port.number());
  bool can_bind = true;
  try {
    const auto again = sockets::bound(port.number(), SOCK_STREAM, SO_EXCLUSIVEADDRUSE);
  } catch (const std::system_error&) {
    can_bind = false;
  }
  const tidewait::report found = watch.look();
  EXPECT_THAT(found.findings, IsEmpty());
  EXPECT_EQ(found.tolerated.size(), 1U) << render(found);
  EXPECT_EQ(found.clean(), can_bind) << render(found);
  RecordProperty("can_bind", can_bind ? 1 : 0);
}

TEST(WindowsLook, AChildThatListensIsTheTests) {
  tidewait::watch watch;
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_THAT(render(found), AllOf(HasSubstr("127.0.0.1:" + port),
                                   HasSubstr("child pid " + std::to_string(server.pid()) +
                                             " (subject_server.exe) is still listening"),
                                   HasSubstr("WSA_FLAG_NO_HANDLE_INHERIT")));
}

TEST(WindowsWhy, NamesWhoIsOnThePort) {
  child server{"subject_server.exe", "listen"};
  const auto port = static_cast<std::uint16_t>(std::stoi(server.read_line()));
  const auto [why, seen] = tidewait::explain_port(tidewait::protocol::tcp, port);
  EXPECT_FALSE(why.free());
  EXPECT_EQ(why.outcome.plain, std::errc::address_in_use);
  EXPECT_EQ(why.outcome.reuse_port, why.outcome.plain);  // there is no such option
  EXPECT_THAT(render(why, seen),
              AllOf(HasSubstr(" is in use"),
                    HasSubstr("pid " + std::to_string(server.pid()) + " subject_server.exe"),
                    HasSubstr(" subject_server.exe  subject_server.exe")));
}

TEST(WindowsWhy, AFreePortIsFree) {
  const tidewait::port_lease port = tidewait::lease_port();
  EXPECT_TRUE(tidewait::explain_port(tidewait::protocol::tcp, port.number()).free());
  EXPECT_FALSE(tidewait::probe_port(tidewait::protocol::tcp, port.number()));
}

TEST(WindowsWhy, AnExclusiveListenerIsInUseAndNotRefused) {
  const auto listener = sockets::listening(0, SO_EXCLUSIVEADDRUSE);
  EXPECT_EQ(tidewait::probe_port(tidewait::protocol::tcp, sockets::port_of(listener)),
            std::errc::address_in_use);
}

TEST(WindowsWhy, AnAddressOfAnotherMachineIsSaid) {
  const auto [why, seen] = tidewait::explain_bind(
      {tidewait::protocol::tcp, *tidewait::parse_endpoint("192.0.2.1:20001")});
  EXPECT_THAT(render(why, seen),
              HasSubstr("no interface of this machine has the address 192.0.2.1"));
}

TEST(WindowsTable, KnowsASocketAgainAndTellsItFromTheNext) {
  const auto table = [] {
    tidewait::socket_query query;
    query.states = tidewait::socket_state::listen;
    return tidewait::socket_table::current(query).sockets;
  };
  const auto cookie_of = [&](std::uint16_t port) -> std::uint64_t {
    for (const auto& each : table()) {
      if (each.local.port == port) return each.cookie;
    }
    return 0;
  };
  const auto first = sockets::listening(0);
  const auto second = sockets::listening(0);
  const std::uint64_t cookie = cookie_of(sockets::port_of(first));
  EXPECT_NE(cookie, 0U);
  EXPECT_EQ(cookie, cookie_of(sockets::port_of(first)));
  EXPECT_NE(cookie, cookie_of(sockets::port_of(second)));
}

TEST(WindowsTable, SaysThatBoundSocketsAreNotVisible) {
  const tidewait::socket_table table = tidewait::socket_table::current();
  EXPECT_FALSE(table.seen.shows_bound_sockets());
  EXPECT_THAT(to_string(tidewait::detail::merged(gaps(table.seen))),
              HasSubstr("bound sockets not visible"));
}

TEST(WindowsBoundSocket, HasItsPortForItself) {
  tidewait::listening_socket socket;
  EXPECT_EQ(tidewait::probe_port(tidewait::protocol::tcp, socket.port()),
            std::errc::address_in_use);
  EXPECT_THROW(sockets::bound(socket.port(), SOCK_STREAM, SO_REUSEADDR), std::system_error);
  DWORD flags = 0;
  const SOCKET handle = socket.release();
  ::GetHandleInformation(reinterpret_cast<HANDLE>(handle), &flags);
  EXPECT_EQ(flags & HANDLE_FLAG_INHERIT, 0U);
  ::closesocket(handle);
}

}  // namespace
