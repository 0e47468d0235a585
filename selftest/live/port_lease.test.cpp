// SPDX-License-Identifier: BSL-1.0
#include <unistd.h>

#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/bind_probe.hpp>
#include <tidewait/port_lease.hpp>

#include "forked.hpp"

namespace {

using tidewait::port_lease;
using tidewait::protocol;
using tidewait::transport;
using tidewait::detail::lock_port;
using tidewait::detail::unique_fd;

/// Whether a lock of somebody else is on the port.
bool is_locked(std::uint16_t port, protocol which = protocol::tcp) {
  unique_fd lock;
  return lock_port(which, port, lock) == std::errc::address_in_use;
}

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

TEST(PortLease, OfAKilledProcessIsFreeAtOnce) {
  forked child{[](auto say) {
    const port_lease port = tidewait::lease_port(transport::tcp_and_udp);
    say(std::to_string(port.number()) + '\n');
    ::pause();
  }};
  const auto port = static_cast<std::uint16_t>(std::stoi(child.line()));
  EXPECT_TRUE(is_locked(port, protocol::tcp));
  EXPECT_TRUE(is_locked(port, protocol::udp));
  EXPECT_EQ(tidewait::detail::lock_holder(protocol::tcp, port), child.pid());
  child.kill();
  EXPECT_FALSE(is_locked(port, protocol::tcp));
  EXPECT_FALSE(is_locked(port, protocol::udp));
}

TEST(PortLease, EndsWithItsScope) {
  std::uint16_t number = 0;
  {
    const port_lease port = tidewait::lease_port();
    number = port.number();
    EXPECT_TRUE(is_locked(number));
  }
  EXPECT_FALSE(is_locked(number));
}

}  // namespace
