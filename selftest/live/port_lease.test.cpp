// SPDX-License-Identifier: BSL-1.0
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/port_range.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/forked.hpp"
#include "../support/sockets.hpp"

namespace {

using sockets::unique_fd;
using testing::HasSubstr;
using tidewait::port_lease;
using tidewait::protocol;
using tidewait::protocol_set;
using tidewait::reuse;

/// The process whose lock is on the port.
std::optional<int> holder(std::uint16_t port, protocol which = protocol::tcp) {
  return tidewait::detail::lock_holder(which, port);
}

/// Whether this process still has the lock of the port.
bool locked_here(std::uint16_t port) { return holder(port) == ::getpid(); }

TEST(PortLease, IsOutsideTheEphemeralRangeAndUnprivileged) {
  const auto rules = tidewait::detail::read_port_rules();
  for (const port_lease& port : tidewait::lease_ports(50)) {
    EXPECT_FALSE(rules.ephemeral.contains(port.number())) << port.number();
    EXPECT_FALSE(rules.is_reserved(port.number())) << port.number();
    EXPECT_GE(port.number(), rules.unprivileged_start);
    EXPECT_EQ(tidewait::probe_port(protocol::tcp, port.number()), std::error_code{});
  }
}

TEST(PortLease, IsUniqueAmongProcessesThatStartAtOnce) {
  constexpr int processes = 4;
  constexpr int leases = 100;
  std::vector<forked> children;
  for (int i = 0; i < processes; ++i) {
    children.emplace_back([](auto say) {
      const auto ports = tidewait::lease_ports(leases);
      std::string text;
      for (const port_lease& port : ports) text += std::to_string(port.number()) + ' ';
      say(text + '\n');
      ::pause();
    });
  }
  std::multiset<int> numbers;
  for (forked& child : children) {
    std::istringstream text{child.line()};
    for (int port = 0; text >> port;) numbers.insert(port);
  }
  EXPECT_EQ(numbers.size(), std::size_t{processes} * leases);
  EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), numbers.size());
}

TEST(PortLease, StartsElsewhereInEachFork) {
  const port_lease first = tidewait::lease_port();  // the parent has drawn its start
  std::set<std::string> starts;
  for (int i = 0; i < 4; ++i) {
    forked child{[](auto say) {
      const port_lease port = tidewait::lease_port();
      say(std::to_string(port.number()));
    }};
    starts.insert(child.all());
  }
  EXPECT_GT(starts.size(), 1U) << "each child has leased port " << *starts.begin();
}

TEST(PortLease, OfAKilledProcessIsFreeAtOnce) {
  forked child{[](auto say) {
    const port_lease port = tidewait::lease_port(protocol_set::tcp_and_udp);
    say(std::to_string(port.number()) + '\n');
    ::pause();
  }};
  const int pid = child.pid();
  const auto port = static_cast<std::uint16_t>(std::stoi(child.line()));
  EXPECT_EQ(holder(port, protocol::tcp), pid);
  EXPECT_EQ(holder(port, protocol::udp), pid);
  child.kill();
  EXPECT_NE(holder(port, protocol::tcp), pid);
  EXPECT_NE(holder(port, protocol::udp), pid);
}

TEST(PortLease, EndsWithItsScope) {
  std::uint16_t number = 0;
  {
    const port_lease port = tidewait::lease_port();
    number = port.number();
    EXPECT_TRUE(locked_here(number));
  }
  EXPECT_FALSE(locked_here(number));
}

TEST(PortLease, MovesWithItsLock) {
  port_lease first = tidewait::lease_port();
  const std::uint16_t number = first.number();
  port_lease second = std::move(first);
  EXPECT_EQ(second.number(), number);
  EXPECT_TRUE(locked_here(number));
  second = tidewait::lease_port();
  EXPECT_FALSE(locked_here(number)) << "what was assigned over has ended";
}

TEST(PortLease, IsOfTheParentAlsoInAFork) {
  std::optional<port_lease> port = tidewait::lease_port();
  const std::uint16_t number = port->number();
  forked child{[&](auto say) {
    port.reset();
    const port_lease own = tidewait::lease_port();
    say(own.number() == number ? "the same" : "another");
  }};
  EXPECT_EQ(child.all(), "another");
  EXPECT_TRUE(locked_here(number));
}

TEST(PortLease, LivesOnInAServerThatInheritsItsLock) {
  forked test{[](auto say) {
    const port_lease port = tidewait::lease_port();
    for (const int lock : port.lock_descriptors()) ::fcntl(lock, F_SETFD, 0);
    const pid_t server = ::fork();
    if (server == 0) ::execlp("sleep", "sleep", "100", nullptr);
    say(std::to_string(port.number()) + ' ' + std::to_string(server) + '\n');
    ::pause();
  }};
  std::istringstream text{test.line()};
  std::uint16_t port = 0;
  pid_t server = 0;
  ASSERT_TRUE(text >> port >> server);
  const int pid = test.pid();
  test.kill();
  EXPECT_EQ(holder(port), pid) << "the server lives, so the port is still leased";
  ::kill(server, SIGKILL);
  // The server is an orphan: nobody here can wait for its end, only for what it brings about.
  for (int i = 0; i < 1000 && holder(port) == pid; ++i) ::usleep(10000);
  EXPECT_NE(holder(port), pid);
}

TEST(PortLease, ComesForUdpAndForBothOnOneNumber) {
  const port_lease udp = tidewait::lease_port(protocol_set::udp);
  EXPECT_EQ(holder(udp.number(), protocol::udp), ::getpid());
  EXPECT_NE(holder(udp.number(), protocol::tcp), ::getpid());
  const port_lease both = tidewait::lease_port(protocol_set::tcp_and_udp);
  EXPECT_EQ(holder(both.number(), protocol::udp), ::getpid());
  EXPECT_EQ(holder(both.number(), protocol::tcp), ::getpid());
  EXPECT_EQ(both.lock_descriptors().size(), 2U);
}

TEST(PortLease, ComesInBlocksInARow) {
  const auto block = tidewait::lease_block(20, protocol_set::tcp_and_udp);
  ASSERT_EQ(block.size(), 20U);
  for (std::size_t i = 0; i < block.size(); ++i) {
    EXPECT_EQ(block[i].number(), block[0].number() + i);
    EXPECT_TRUE(locked_here(block[i].number()));
  }
}

TEST(PortLease, RemembersItsLine) {
  const port_lease port = tidewait::lease_port();
  EXPECT_THAT(port.where().file, HasSubstr("port_lease.test.cpp"));
  EXPECT_EQ(port.where().line, __LINE__ - 2);
}

// What happens to the lock when a lease ends, and who is accused of what uses the port then.

class LeaseEnd : public testing::Test {
 protected:
  std::optional<port_lease> port_ = tidewait::lease_port();
  std::uint16_t number_ = port_->number();
};

TEST_F(LeaseEnd, WithoutAWatchKeepsTheLockUntilThePortIsClean) {
  unique_fd server = sockets::listening(number_);
  port_.reset();
  EXPECT_TRUE(locked_here(number_));
  const port_lease other = tidewait::lease_port();
  EXPECT_TRUE(locked_here(number_)) << "the server still listens";
  server.reset();
  const port_lease another = tidewait::lease_port();  // notices it
  EXPECT_FALSE(locked_here(number_));
}

TEST_F(LeaseEnd, BeforeAServerThatClosesLaterAccusesNobody) {
  tidewait::watch watch;
  unique_fd server = sockets::listening(number_);
  port_.reset();
  EXPECT_TRUE(locked_here(number_));
  server.reset();
  EXPECT_EQ(render(watch.look()), "");
  EXPECT_FALSE(locked_here(number_));
}

TEST_F(LeaseEnd, AfterTheLookIsJudgedWhileItLives) {
  tidewait::watch watch;
  unique_fd server = sockets::listening(number_);
  const auto report = watch.look();
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(render(report), HasSubstr("port_lease.test.cpp:"));
  server.reset();
  port_.reset();
  EXPECT_FALSE(locked_here(number_));
}

TEST_F(LeaseEnd, OnALeakIsReportedOnceWithItsLineAndStaysLocked) {
  tidewait::watch watch;
  tidewait::watch outer;
  unique_fd server = sockets::listening(number_);
  port_.reset();
  const auto report = watch.look();
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(render(report), HasSubstr("port_lease.test.cpp:"));
  EXPECT_THAT(render(report), HasSubstr("127.0.0.1:" + std::to_string(number_)));
  EXPECT_TRUE(outer.look().clean()) << "one leak, one report";
  EXPECT_TRUE(tidewait::watch{}.look().clean());
  EXPECT_TRUE(locked_here(number_));
  server.reset();
  const port_lease another = tidewait::lease_port();
  EXPECT_FALSE(locked_here(number_));
}

TEST_F(LeaseEnd, CostsABoundedNumberOfDescriptors) {
  std::vector<unique_fd> servers;
  for (int i = 0; i < 300; ++i) {
    const port_lease each = tidewait::lease_port();
    servers.push_back(sockets::listening(each.number()));
  }
  int locks = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &size) == 0 && type == AF_UNIX) ++locks;
  }
  EXPECT_GT(locks, 200);
  EXPECT_LT(locks, 270);
}

TEST_F(LeaseEnd, InAForkLeavesTheParentsLock) {
  unique_fd server = sockets::listening(number_);
  forked child{[&](auto say) {
    port_.reset();
    say(tidewait::watch{}.look().clean() ? "clean" : "accused");
  }};
  EXPECT_EQ(child.all(), "clean");
  EXPECT_TRUE(locked_here(number_));
}

// hold(): the port itself is taken, and a server may still come.

class LeaseHold : public testing::TestWithParam<reuse> {
 protected:
  port_lease port_ = tidewait::lease_port();

  std::error_code serve(reuse options) const {
    std::error_code error;
    const unique_fd server = sockets::listening(port_.number(), error, options);
    return error;
  }
};

TEST_P(LeaseHold, LetsAServerListenThatSetsAReuseOption) {
  port_.hold();
  EXPECT_TRUE(port_.held());
  EXPECT_EQ(serve(GetParam()), std::error_code{});
  EXPECT_EQ(serve(GetParam()), std::error_code{}) << "and again";
}

INSTANTIATE_TEST_SUITE_P(Options, LeaseHold,
                         testing::Values(reuse::address, reuse::port, reuse::address_and_port),
                         [](const auto& options) {
                           switch (options.param) {
                             case reuse::address: return "ReuseAddress";
                             case reuse::port: return "ReusePort";
                             default: return "Both";
                           }
                         });

using LeaseHeld = LeaseHold;

TEST_F(LeaseHeld, KeepsAPlainServerOut) {
  EXPECT_EQ(serve(reuse::none), std::error_code{});
  port_.hold();
  EXPECT_EQ(serve(reuse::none), std::errc::address_in_use);
  port_.release_hold();
  EXPECT_FALSE(port_.held());
  EXPECT_EQ(serve(reuse::none), std::error_code{});
}

TEST_F(LeaseHeld, RefusesClients) {
  port_.hold();
  EXPECT_EQ(sockets::answer_to_client(port_.number()), std::errc::connection_refused);
}

TEST_F(LeaseHeld, IsNotForAPortThatIsTaken) {
  for (const reuse options : {reuse::none, reuse::address, reuse::port, reuse::address_and_port}) {
    std::error_code error;
    const unique_fd other = sockets::bound(port_.number(), error, options);
    ASSERT_EQ(error, std::error_code{});
    EXPECT_THROW(port_.hold(), tidewait::lease_error);
    EXPECT_FALSE(port_.held());
  }
}

TEST_F(LeaseHeld, IsNeverForUdp) {
  for (const protocol_set kind : {protocol_set::udp, protocol_set::tcp_and_udp}) {
    port_lease port = tidewait::lease_port(kind);
    try {
      port.hold();
      FAIL() << "held";
    } catch (const tidewait::lease_error& error) {
      EXPECT_EQ(error.code(), std::errc::operation_not_supported);
      EXPECT_THAT(error.what(), HasSubstr("swallow datagrams"));
    }
  }
}

TEST_F(LeaseHeld, IsNoLeftover) {
  tidewait::watch watch{{}, "", tidewait::look_depth::thorough};
  port_.hold();
  tidewait::report found = watch.look();
  found.notes.clear();  // a thorough look also tells of TIME_WAITs that other tests leave
  EXPECT_EQ(render(found), "");
}

TEST_F(LeaseHeld, HidesNoLeftover) {
  tidewait::watch watch;
  port_.hold();
  const unique_fd server = sockets::listening(port_.number(), reuse::address);
  const auto report = watch.look();
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(render(report), HasSubstr(" left 1 socket behind "));
}

TEST_F(LeaseHeld, EndsWithTheLease) {
  const std::uint16_t number = port_.number();
  port_.hold();
  port_ = tidewait::lease_port();
  EXPECT_EQ(tidewait::probe_port(protocol::tcp, number), std::error_code{});
  EXPECT_FALSE(locked_here(number));
}

}  // namespace
