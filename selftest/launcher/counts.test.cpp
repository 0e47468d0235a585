// SPDX-License-Identifier: BSL-1.0
//
// How much a run says was left: what is shared is not left, and nothing is counted twice.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "../support/sockets.hpp"
#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Sockets of this program on one port of 127.0.0.1, which others may share.
class shared_port {
 public:
  shared_port(int type, int option, std::size_t count, const char* host = "127.0.0.1") {
    for (std::size_t i = 0; i < count; ++i) {
      sockets_.push_back(sockets::check(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket"));
      const int on = 1;
      sockets::check(::setsockopt(sockets_.back(), SOL_SOCKET, option, &on, sizeof on),
                     "setsockopt");
      sockaddr_in where = sockets::address(number_, host);
      socklen_t size = sizeof where;
      auto* const address = reinterpret_cast<sockaddr*>(&where);
      sockets::check(::bind(sockets_.back(), address, size), "bind");
      if (type == SOCK_STREAM) sockets::check(::listen(sockets_.back(), 1), "listen");
      sockets::check(::getsockname(sockets_.back(), address, &size), "getsockname");
      number_ = ntohs(where.sin_port);
    }
  }
  shared_port(const shared_port&) = delete;
  shared_port& operator=(const shared_port&) = delete;
  ~shared_port() {
    for (const int each : sockets_) ::close(each);
  }
  std::string number() const { return std::to_string(number_); }
  int socket(std::size_t i) const { return sockets_[i]; }

 private:
  std::uint16_t number_ = 0;
  std::vector<int> sockets_;
};

/// A program that shares the port for two seconds and closes its socket.
std::string sharing(const char* type, const char* option, const std::string& port,
                    const std::string& more = {}, const char* host = "127.0.0.1") {
  const bool listens = std::string{type} == "SOCK_STREAM";
  return std::string{"import socket, time\ns = socket.socket(socket.AF_INET, socket."} + type +
         ")\ns.setsockopt(socket.SOL_SOCKET, socket." + option + ", 1)\ns.bind(('" + host + "', " +
         port + "))\n" + (listens ? "s.listen()\n" : "") + more + "time.sleep(2)\n";
}

TEST(Run, CountsAPortThatSeveralListenersShareOnceAndNothingAsLeft) {
  const shared_port theirs{SOCK_STREAM, SO_REUSEPORT, 2};
  const directory there;
  const outcome shared =
      run(wrapped({"--json", there / "r.json"},
                  python(sharing("SOCK_STREAM", "SO_REUSEPORT", theirs.number()))));
  EXPECT_EQ(shared.status, 97);
  EXPECT_THAT(shared.err,
              AllOf(HasSubstr(" shared 127.0.0.1:" + theirs.number() + " with another program\n"),
                    Not(HasSubstr("behind on"))));
  EXPECT_EQ(count_of("listen on one port through SO_REUSEPORT", shared.err), 1U) << shared.err;
  EXPECT_THAT(run({"cat", there / "r.json"}).out, HasSubstr("\"leaks\": 1,"));
}

TEST(Run, ReportsAUdpPortThatIsShared) {
  const shared_port theirs{SOCK_DGRAM, SO_REUSEADDR, 1};
  const outcome shared =
      run(wrapped({}, python(sharing("SOCK_DGRAM", "SO_REUSEADDR", theirs.number()))));
  EXPECT_EQ(shared.status, 97);
  EXPECT_THAT(shared.err,
              AllOf(HasSubstr(" shared UDP 127.0.0.1:" + theirs.number() + " with another program"),
                    HasSubstr("share one UDP address through")));
}

TEST(Run, LetsMembersOfAMulticastGroupShareAPort) {
  const shared_port theirs{SOCK_DGRAM, SO_REUSEADDR, 1, "225.1.2.4"};
  ip_mreq group{};
  group.imr_multiaddr.s_addr = htonl(0xE1010204);
  group.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
  if (::setsockopt(theirs.socket(0), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    GTEST_SKIP() << "no multicast here";
  const outcome shared = run(
      wrapped({}, python(sharing("SOCK_DGRAM", "SO_REUSEADDR", theirs.number(),
                                 "s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, "
                                 "socket.inet_aton('225.1.2.4') + socket.inet_aton('127.0.0.1'))\n",
                                 "225.1.2.4"))));
  EXPECT_EQ(shared.status, 0) << shared.err;
}

TEST(Run, CountsWhatATestHasReportedItself) {
  const directory there;
  const outcome failed =
      run(wrapped({"--journal", there / "journal", "--name", "net.Leaves", "--ctest-measurement"},
                  {SELFTEST_GTEST_SUBJECT, "--gtest_filter=Subject.LeavesAListener"}));
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.out, HasSubstr("name=\"tidewait_leaks\">1</CTestMeasurement>"));
}

}  // namespace
