// SPDX-License-Identifier: BSL-1.0
#include <sys/socket.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/port_candidates.hpp>
#include <tidewait/port_lease.hpp>

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using tidewait::port_rules;
using tidewait::detail::candidate_turn;
using tidewait::detail::lease_shape;
using tidewait::detail::port_candidates;
using tidewait::detail::sys;

std::vector<std::uint16_t> turn(port_candidates& candidates,
                                lease_shape shape = lease_shape::scattered) {
  std::vector<std::uint16_t> ports;
  candidate_turn each{candidates, shape};
  while (const auto port = each.next()) ports.push_back(*port);
  return ports;
}

port_rules ephemeral(std::uint16_t first, std::uint16_t last) {
  port_rules rules;
  rules.ephemeral = {first, last};
  return rules;
}

constexpr std::uint64_t some_entropy = 0x123456789abcdef0;

TEST(PortCandidates, AreAllPortsOutsideTheEphemeralRangeOnce) {
  port_candidates candidates{ephemeral(32768, 60999), some_entropy};
  const auto ports = turn(candidates);
  const std::set<std::uint16_t> set(ports.begin(), ports.end());
  EXPECT_EQ(ports.size(), 65536U - 1024U - 28232U);
  EXPECT_EQ(set.size(), ports.size());
  EXPECT_EQ(set.count(1023) + set.count(32768) + set.count(60999), 0U);
  EXPECT_EQ(set.count(1024) + set.count(32767) + set.count(61000) + set.count(65535), 4U);
  EXPECT_FALSE(candidates.inside_ephemeral);
}

TEST(PortCandidates, LeaveWellKnownPortsForTheEnd) {
  port_candidates candidates{ephemeral(32768, 60999), some_entropy};
  const auto ports = turn(candidates);
  const auto first_low = std::find_if(ports.begin(), ports.end(), [](auto p) { return p < 10000; });
  EXPECT_EQ(ports.end() - first_low, 10000 - 1024);
  EXPECT_TRUE(std::all_of(first_low, ports.end(), [](auto port) { return port < 10000; }));
}

TEST(PortCandidates, ComeInAnotherOrderWithOtherEntropy) {
  port_candidates one{port_rules{}, some_entropy};
  port_candidates other{port_rules{}, ~some_entropy};
  EXPECT_NE(turn(one), turn(other));
}

TEST(PortCandidates, GoOnWhereTheLastTurnStopped) {
  port_candidates candidates{ephemeral(1030, 65535), some_entropy};
  candidate_turn first{candidates, lease_shape::scattered};
  std::vector<std::uint16_t> ports{*first.next(), *first.next()};
  candidate_turn second{candidates, lease_shape::scattered};
  for (int i = 0; i < 4; ++i) ports.push_back(*second.next());
  EXPECT_THAT(std::set<std::uint16_t>(ports.begin(), ports.end()),
              ElementsAre(1024, 1025, 1026, 1027, 1028, 1029));
}

TEST(PortCandidates, InARowAscend) {
  port_candidates candidates{ephemeral(1040, 65535), 5};
  EXPECT_THAT(turn(candidates, lease_shape::contiguous),
              ElementsAre(1029, 1030, 1031, 1032, 1033, 1034, 1035, 1036, 1037, 1038, 1039, 1024,
                          1025, 1026, 1027, 1028));
}

TEST(PortCandidates, LeaveOutReservedAndPrivilegedPorts) {
  port_rules rules = ephemeral(1040, 65535);
  rules.reserved = {{8, 8}, {1032, 1034}, {2000, 2000}};
  rules.unprivileged_start = 1030;
  port_candidates candidates{rules, 7};
  const auto ports = turn(candidates);
  EXPECT_THAT(std::set<std::uint16_t>(ports.begin(), ports.end()),
              ElementsAre(1030, 1031, 1035, 1036, 1037, 1038, 1039));
  EXPECT_EQ(candidates.reserved(), 3U) << "only those that could have been leased";
}

TEST(PortCandidates, StepInsideARangeThatCoversEverything) {
  port_rules rules = ephemeral(1024, 65535);
  rules.reserved = {{1024, 60000}};
  port_candidates candidates{rules, some_entropy};
  EXPECT_TRUE(candidates.inside_ephemeral);
  EXPECT_EQ(turn(candidates).size(), 5535U);
  EXPECT_EQ(candidates.reserved(), 58977U);
}

/// Puts the system's calls back.
class LeaseErrors : public testing::Test {
 protected:
  ~LeaseErrors() override { sys = before_; }

  /// Sockets of this family are refused with this error.
  static void refuse(int family, int error) {
    refused_family = family;
    refused_error = error;
    sys.socket = [](int domain, int type, int protocol) {
      if (domain != refused_family) return ::socket(domain, type, protocol);
      errno = refused_error;
      return -1;
    };
  }

  static std::string message() {
    try {
      const auto port = tidewait::lease_port();
      return "leased";
    } catch (const tidewait::lease_error& error) {
      return error.what();
    }
  }

 private:
  tidewait::detail::system_calls before_ = sys;
  inline static int refused_family = 0;
  inline static int refused_error = 0;
};

TEST_F(LeaseErrors, SayThatDescriptorsRanOut) {
  refuse(AF_UNIX, EMFILE);
  EXPECT_THAT(message(), AllOf(HasSubstr("locking a port: Too many open files;"),
                               HasSubstr("descriptor leak"), HasSubstr("ulimit -n")));
  refuse(AF_UNIX, ENFILE);
  EXPECT_THAT(message(), AllOf(HasSubstr("fs.file-max"), Not(HasSubstr("ulimit"))));
}

TEST_F(LeaseErrors, SayThatMemoryRanOut) {
  refuse(AF_UNIX, ENOBUFS);
  EXPECT_THAT(message(), AllOf(HasSubstr("No buffer space"), HasSubstr("memory limit")));
  refuse(AF_UNIX, ENOMEM);
  EXPECT_THAT(message(), HasSubstr("memory limit"));
}

TEST_F(LeaseErrors, SayThatUnixSocketsAreRefused) {
  refuse(AF_UNIX, EAFNOSUPPORT);
  EXPECT_THAT(message(), AllOf(HasSubstr("Address family not supported"), HasSubstr("AF_UNIX")));
  refuse(AF_UNIX, EPERM);
  EXPECT_THAT(message(), AllOf(HasSubstr("not permitted"), HasSubstr("AF_UNIX")));
}

TEST_F(LeaseErrors, SayThatTheProbeIsRefused) {
  refuse(AF_INET6, EPERM);
  EXPECT_THAT(message(), AllOf(HasSubstr("probing port "), HasSubstr("AF_INET")));
}

TEST_F(LeaseErrors, ButIPv6IsNotNeeded) {
  refuse(AF_INET6, EAFNOSUPPORT);
  EXPECT_EQ(message(), "leased");
}

TEST_F(LeaseErrors, SayHowManyPortsCanBeServed) {
  for (const std::size_t count : {std::size_t{0}, std::size_t{65536}}) {
    try {
      EXPECT_TRUE(tidewait::lease_ports(count).empty());
      FAIL() << count << " ports were leased";
    } catch (const tidewait::lease_error& error) {
      EXPECT_EQ(error.code(), tidewait::errc::port_out_of_range);
      EXPECT_THAT(error.what(), HasSubstr("ask for 1 to 65535"));
    }
  }
}

TEST_F(LeaseErrors, LeaveNoDescriptorOpen) {
  const auto next_descriptor = [] {
    const int fd = ::dup(0);
    ::close(fd);
    return fd;
  };
  const int before = next_descriptor();
  refuse(AF_INET6, EPERM);
  message();
  EXPECT_EQ(next_descriptor(), before);
}

TEST_F(LeaseErrors, CountOnlyWhatEachCandidateSaid) {
  // Each lock is somebody else's, so that a whole turn is passed over.
  sys.bind = [](int, const sockaddr*, socklen_t) {
    errno = EADDRINUSE;
    return -1;
  };
  try {
    const auto port = tidewait::lease_port();
    FAIL() << "leased " << port.number();
  } catch (const tidewait::lease_error& error) {
    EXPECT_EQ(error.code(), tidewait::errc::no_free_port);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("leasing 1 port: no free port; tried "),
                      HasSubstr(" locked by leases"),  // and here, other tests' holders
                      HasSubstr(", 0 taken by other sockets"), HasSubstr("ip_local_port_range")));
  }
}

}  // namespace
