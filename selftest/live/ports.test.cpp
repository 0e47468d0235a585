// SPDX-License-Identifier: BSL-1.0
//
// What is no listener in the way: clients that took the number, sandboxes, a network that is down.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "causes.hpp"

namespace {

using tidewait::render;

using namespace causes;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const bind_request udp = to("127.0.0.1:20111", protocol::udp);

void connect_to(const unique_fd& client, const bind_request& where) {
  const tidewait::detail::socket_address address{where.local};
  if (::connect(client.get(), address.get(), address.size) != 0)
    throw std::system_error{errno, std::system_category(), "connect"};
}

unique_fd bound_to(const bind_request& where) {
  std::error_code error;
  unique_fd fd = tidewait::detail::bind_socket(where, reuse::none, error);
  if (error) throw std::system_error{error, "bind"};
  return fd;
}

unique_fd tcp_socket() { return unique_fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}; }

TEST(Port, OfAClientInTimeWaitIsNoServers) {
  const std::string said = in_namespace([] {
    set_rule("ipv4/ip_local_port_range", "20111 20111");
    const unique_fd listener = open(to("127.0.0.1:7000"), reuse::address);
    unique_fd client = tcp_socket();
    connect_to(client, to("127.0.0.1:7000"));
    unique_fd server{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    client.reset();
    server.reset();
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("a client had this port as its own local number and closed the "
                                    "connection to 127.0.0.1:7000 first"),
                          HasSubstr("use a port outside the ephemeral range"),
                          Not(HasSubstr("let the client close first")),
                          Not(HasSubstr("the listener that was there"))));
}

TEST(Port, LeftInTimeWaitByAServerWithReusePortIsHelpedByThat) {
  const std::string said = in_namespace([] {
    { connected(reuse::port).server.reset(); }
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("; with SO_REUSEPORT, it succeeds"),
                          Not(HasSubstr("share the port with the listener")),
                          Not(HasSubstr("a listener is open"))));
}

TEST(Port, OfAConnectionToItselfIsCalledThat) {
  const std::string said = in_namespace([] {
    const unique_fd client = bound_to(here);
    connect_to(client, here);
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("of this process has a connection to itself: connect() to "
                                    "127.0.0.1:20111 found no listener"),
                          HasSubstr("connect only once the server listens")));
}

TEST(Port, ThatTwoUdpServersShareIsCalledShared) {
  const std::string said = in_namespace([] {
    return beside([] { return open(udp, reuse::address); },
                  [] {
                    const unique_fd ours = open(udp, reuse::address);
                    return why(udp);
                  });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("share one UDP address through SO_REUSEADDR or SO_REUSEPORT"),
                          HasSubstr("the one that was bound last gets the datagrams of both")));
}

TEST(Port, ThatMembersOfAMulticastGroupShareIsNotCalledShared) {
  const bind_request any = to("*:20111", protocol::udp);
  const std::string said = in_namespace([&] {
    const auto join = [&] {
      unique_fd member = open(any, reuse::address);
      ip_mreq group{};
      group.imr_multiaddr.s_addr = htonl(0xE1020304);
      group.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
      if (::setsockopt(member.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        throw std::system_error{errno, std::system_category(), "skip: IP_ADD_MEMBERSHIP"};
      return member;
    };
    return beside(join, [&] {
      const unique_fd ours = join();
      return why(any) + why(udp);
    });
  });
  SKIP_IF_DENIED(said);
  if (said.find("skip: ") != std::string::npos) GTEST_SKIP() << said;
  EXPECT_THAT(said, AllOf(Not(HasSubstr("share one UDP address")),
                          HasSubstr("each socket that has joined the group gets its datagrams")));
}

TEST(Port, ThatAClientOrPortZeroGotSaysSo) {
  const std::string said = in_namespace([] {
    set_rule("ipv4/ip_local_port_range", "20111 20112");
    return beside([] { return open(to("127.0.0.1:0")); },
                  [] { return why(here) + why(to("127.0.0.1:20112")); }) +
           beside([] { return open(to("127.0.0.1:0", protocol::udp)); },
                  [] { return why(udp) + why(to("127.0.0.1:20112", protocol::udp)); });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(
      said, AllOf(testing::ContainsRegex("is listening on 127.0.0.1:2011[12]; the port is in the "
                                         "ephemeral range 20111-20112, which the kernel hands out"),
                  testing::ContainsRegex("is bound to the UDP port: 127.0.0.1:2011[12]; the port "
                                         "is in the ephemeral range"),
                  HasSubstr("or use a port outside the ephemeral range")));
}

TEST(Port, ZeroThatFailsIsAnEmptyRange) {
  const std::string said = in_namespace([] {
    set_rule("ipv4/ip_local_port_range", "20111 20112");
    const unique_fd one = open(to("127.0.0.1:0"));
    const unique_fd two = open(to("127.0.0.1:0"));
    return why(to("127.0.0.1:0"));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("every port of the ephemeral range 20111-20112 is in use"),
                          HasSubstr("`tidewait why 0` shows by which processes")));
}

void set_no_new_privs() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw std::runtime_error{"skip: prctl"};
}

TEST(Port, ThatALandlockSandboxRefusesIsNotInUse) {
  const std::string said = in_namespace([]() -> std::string {
    struct {
      std::uint64_t files = 0;
      std::uint64_t network = 1;  // LANDLOCK_ACCESS_NET_BIND_TCP, Linux 6.7
    } rules;
    set_no_new_privs();
    const int set =
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
    if (set < 0 || ::syscall(SYS_landlock_restrict_self, set, 0) != 0)
      return "skip: no Landlock for ports";
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("127.0.0.1:20111 cannot be bound"),
                          HasSubstr("what may refuse a bind to port 20111 here: "),
                          HasSubstr("Landlock"), Not(HasSubstr("is in use"))));
}

TEST(Port, ThatASeccompFilterRefusesIsNotInUse) {
  for (const int error : {EACCES, EPERM}) {
    const std::string said = in_namespace([error] {
      sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      const sock_fprog filter{sizeof program / sizeof *program, program};
      set_no_new_privs();
      if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return std::string{"skip: no seccomp"};
      return why(here);
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(
        said, AllOf(HasSubstr("what may refuse a bind to port 20111 here: "), HasSubstr("seccomp"),
                    HasSubstr("a seccomp filter has to permit bind(2)")));
  }
}

TEST(Port, OnALoopbackInterfaceThatIsDownCannotBeReached) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    if (::unshare(CLONE_NEWNET) != 0) return "skip: no second network namespace";
    const auto [told, seen] = tidewait::explain_port(protocol::tcp, 20111);
    return why(here) + render(told, seen);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("127.0.0.1:20111 is free, but cannot be reached"),
                          HasSubstr("port 20111 is free on every address, but cannot be reached"),
                          HasSubstr("the loopback interface is down in this network namespace"),
                          HasSubstr("`ip link set lo up`")));
}

}  // namespace
