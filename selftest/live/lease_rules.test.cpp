// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using sockets::unique_fd;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using tidewait::port_lease;
using tidewait::protocol_set;
using tidewait::reuse;

/// Lowest and highest number of the leases.
std::string extent(const std::vector<port_lease>& ports) {
  std::uint16_t lowest = 65535;
  std::uint16_t highest = 0;
  for (const port_lease& port : ports) {
    lowest = std::min(lowest, port.number());
    highest = std::max(highest, port.number());
  }
  return std::to_string(ports.size()) + " from " + std::to_string(lowest) + " to " +
         std::to_string(highest);
}

/// Why a further lease is not to be had.
std::string refusal(protocol_set kind = protocol_set::tcp) {
  try {
    const port_lease port = tidewait::lease_port(kind);
    return "leased " + std::to_string(port.number());
  } catch (const tidewait::lease_error& error) {
    return error.what();
  }
}

TEST(LeaseRules, AWindowOfAHundredPortsServesAHundredLeases) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1124 65535");
    const auto ports = tidewait::lease_ports(100);
    say(extent(ports) + "; " + refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("100 from 1024 to 1123; leasing 1 port: no free port; tried 100 "
                               "ports: 100 locked by leases (this process: 100), 0 taken by other "
                               "sockets; end the processes"));
}

TEST(LeaseRules, AnErrorCountsWhatIsInTheWayByItsKind) {
  int other = 0;
  const std::string said = in_private_network([&](auto say) {
    set_rule("ipv4/ip_local_port_range", "1124 65535");
    set_rule("ipv4/ip_local_reserved_ports", "1040-1049,2000");
    std::vector<unique_fd> foreign;
    for (std::uint16_t port = 1030; port < 1037; ++port) {
      std::error_code error;
      // A probe with SO_REUSEADDR would not see these.
      foreign.push_back(sockets::bound(port, error, reuse::address));
    }
    forked rival{[](auto tell) {
      const auto ports = tidewait::lease_ports(60);
      tell("ready\n");
      ::pause();
    }};
    rival.line();
    const auto ports = tidewait::lease_ports(20);
    say(std::to_string(rival.pid()) + ' ' + refusal() + " | ");
    const auto rest = tidewait::lease_ports(3);
    say(refusal());
  });
  SKIP_IF_DENIED(said);
  other = std::stoi(said);
  EXPECT_THAT(said.substr(said.find('|')),
              HasSubstr("tried 90 ports: 83 locked by leases (pid " + std::to_string(other) +
                        " (selftest_live): 60, this process: 23), 7 taken by other sockets; 10 "
                        "left out as net.ipv4.ip_local_reserved_ports; end the processes"));
}

TEST(LeaseRules, AHoleInTheWindowIsInNoBlock) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1124 65535");
    set_rule("ipv4/ip_local_reserved_ports", "1080");
    say(extent(tidewait::lease_block(56)) + "; ");
    try {
      say(extent(tidewait::lease_block(57)));
    } catch (const tidewait::lease_error& error) {
      say(error.what());
    }
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("56 from 1024 to 1079; "),
                          HasSubstr("tried 99 ports: 0 locked by leases, 0 taken by other sockets"),
                          HasSubstr("57 free ports in a row were asked for")));
}

TEST(LeaseRules, WhereTheRangeCoversEverythingTheLeaseIsHeld) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1024 65535");
    tidewait::watch watch;
    {
      const port_lease port = tidewait::lease_port();
      say(port.held() ? "held" : "not held");
      for (const reuse options : {reuse::none, reuse::address, reuse::port}) {
        std::error_code error;
        const unique_fd server = sockets::listening(port.number(), error, options);
        say(error ? ", refused" : ", serves");
      }
      const port_lease udp = tidewait::lease_port(protocol_set::udp);
      say(udp.held() ? "; held" : "; not held");
    }
    const auto report = watch.look();
    say("; " + std::to_string(report.findings.size()) + " findings; " + render(report));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("held, refused, serves, serves; not held; 0 findings; "));
  EXPECT_THAT(said, HasSubstr("note: net.ipv4.ip_local_port_range leaves no port outside it"));
}

TEST(LeaseRules, AHeldLeaseIsNotWhereAnotherSocketStands) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1024 65535");
    set_rule("ipv4/ip_local_reserved_ports", "1026-65535");
    std::error_code error;
    const unique_fd shared = sockets::listening(1024, error, reuse::address_and_port);
    const unique_fd bound = sockets::bound(1025, error, reuse::address_and_port);
    say(refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("tried 2 ports inside the ephemeral range, which leaves no other "
                              "port: 0 locked by leases, 2 taken by other sockets"));
}

TEST(LeaseRules, NoPortAtAllIsAnErrorToo) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_reserved_ports", "1024-65535");
    say(refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("tried 0 ports"), HasSubstr("36280 left out as")));
}

TEST(LeaseRules, PrivilegedPortsAreNotLeasedEvenToRoot) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1124 65535");
    set_rule("ipv4/ip_unprivileged_port_start", "1100");
    const auto ports = tidewait::lease_ports(24);
    say(extent(ports) + ' ' + refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("24 from 1100 to 1123"), HasSubstr("tried 24 ports")));
}

TEST(LeaseRules, ThatChangeAreReadAgainBeforeALeaseIsRefused) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1026 65535");
    const auto ports = tidewait::lease_ports(2);
    set_rule("ipv4/ip_local_port_range", "1027 65535");
    say(refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "leased 1026");
}

TEST(LeaseRules, AutobindReuseIsSaid) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_autobind_reuse", "1");
    tidewait::watch watch;
    { const port_lease port = tidewait::lease_port(); }
    say(render(watch.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("note: net.ipv4.ip_autobind_reuse=1"));
}

TEST(LeaseRules, IPv6SwitchedOffChangesNothing) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv6/conf/all/disable_ipv6", "1");
    set_rule("ipv6/conf/lo/disable_ipv6", "1");
    set_rule("ipv4/ip_local_port_range", "1026 65535");
    const unique_fd foreign = sockets::listening(1024);
    const port_lease port = tidewait::lease_port();
    say(std::to_string(port.number()) + ' ' + refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("1025 "), HasSubstr("1 taken by other sockets")));
}

TEST(LeaseRules, IPv6RefusedLeavesTheIPv4Wildcard) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1026 65535");
    const unique_fd foreign = sockets::listening(1024);
    tidewait::detail::sys.socket = [](int domain, int type, int protocol) {
      if (domain != AF_INET6) return ::socket(domain, type, protocol);
      errno = EAFNOSUPPORT;
      return -1;
    };
    const port_lease port = tidewait::lease_port();
    say(std::to_string(port.number()) + ' ' + refusal());
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("1025 "), HasSubstr("1 taken by other sockets")));
}

TEST(LeaseRules, AListenerOnIPv6AloneIsSeen) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1026 65535");
    std::error_code error;
    tidewait::bind_request only_v6{tidewait::protocol::tcp, *tidewait::parse_endpoint("[::1]:1024"),
                                   tidewait::ipv6_only::yes};
    const unique_fd foreign = tidewait::detail::bind_socket(only_v6, reuse::none, error);
    const port_lease port = tidewait::lease_port();
    say(error ? "skip: " + error.message() : std::to_string(port.number()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "1025");
}

// A lease belongs to the network namespace in which it was made.

TEST(LeaseNamespace, ThatWasLeftIsNoticedByHold) {
  const std::string said = in_private_network([](auto say) {
    port_lease port = tidewait::lease_port();
    say(enter_private_network());
    try {
      port.hold();
    } catch (const tidewait::lease_error& error) {
      say(error.code() == tidewait::errc::other_namespace ? error.what() : "another error");
    }
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("used from another network namespace"));
}

TEST(LeaseNamespace, ThatWasLeftMakesTheLookBlind) {
  const std::string said = in_private_network([](auto say) {
    std::optional<port_lease> port;
    tidewait::watch outside;
    port = tidewait::lease_port();
    say(enter_private_network());
    tidewait::watch inside;
    say(outside.look().clean() ? "clean" : "blind");
    const auto report = inside.look();
    say(report.clean() ? ", clean" : ", " + to_string(report.blind));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("blind, a leased port cannot be probed: used from another network "
                               "namespace"));
}

TEST(LeaseNamespace, ThatWasLeftIsNotedWhenTheLeaseEnds) {
  const std::string said = in_private_network([](auto say) {
    std::optional<port_lease> port = tidewait::lease_port();
    say(enter_private_network());
    port.reset();
    for (const auto& note : tidewait::detail::shared_state::instance().told.take_notes()) say(note);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr(" ended in another network namespace than its own"));
}

TEST(LeaseNamespace, HasLocksAndRulesOfItsOwn) {
  const std::string said = in_private_network([](auto say) {
    set_rule("ipv4/ip_local_port_range", "1025 65535");
    const port_lease port = tidewait::lease_port();
    say(enter_private_network());
    set_rule("ipv4/ip_local_port_range", "1025 65535");
    const port_lease same = tidewait::lease_port();
    say(std::to_string(port.number()) + ' ' + std::to_string(same.number()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "1024 1024");
}

}  // namespace
