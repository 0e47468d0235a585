// SPDX-License-Identifier: BSL-1.0
//
// Each cause of the table in the documentation, produced for real in a network namespace of its
// own: what is said of it there, and that what is said of the next bind is true.
#include "causes.hpp"

#include <linux/capability.h>
#include <pthread.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/socket_table.hpp>

namespace {

using namespace causes;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Cause, IsNoneOnAFreePort) {
  const std::string said = in_namespace([] { return why(here); });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "tidewait: 127.0.0.1:20111 is free\n");
}

TEST(Cause, IsAListenerThatWasNotClosed) {
  const std::string said = in_namespace([] {
    const unique_fd listener = open(here);
    return "fd " + std::to_string(listener.get()) + " of this process\n" + why(here);
  });
  SKIP_IF_DENIED(said);
  const std::string fd = said.substr(0, said.find('\n'));
  EXPECT_THAT(said, AllOf(HasSubstr("127.0.0.1:20111 is in use"),
                          HasSubstr("why: " + fd + " is still listening"),
                          HasSubstr("fails, even with SO_REUSEADDR (a listener is open)")));
}

TEST(Cause, IsAWildcardInEitherDirection) {
  const std::string there = in_namespace([] {
    const unique_fd listener = open(to("*:20111"));
    return why(here);
  });
  SKIP_IF_DENIED(there);
  EXPECT_THAT(there, HasSubstr("0.0.0.0:20111 covers 127.0.0.1:20111"));
  const std::string wanted = in_namespace([] {
    const unique_fd listener = open(here);
    return why(to("*:20111"));
  });
  EXPECT_THAT(wanted, AllOf(StartsWith("tidewait: 0.0.0.0:20111 is in use"),
                            HasSubstr("0.0.0.0:20111 covers 127.0.0.1:20111")));
}

TEST(Cause, IsADualStackWildcardInEitherDirection) {
  const std::string there = in_namespace([] {
    const unique_fd listener = open(to("[::]:20111"));
    return why(here);
  });
  SKIP_IF_DENIED(there);
  EXPECT_THAT(there,
              AllOf(HasSubstr("[::]:20111 covers 127.0.0.1:20111"), HasSubstr("set IPV6_V6ONLY")));
  const std::string wanted = in_namespace([] {
    const unique_fd listener = open(to("*:20111"));
    return why(to("[::]:20111"));
  });
  EXPECT_THAT(wanted, HasSubstr("[::]:20111 covers 0.0.0.0:20111"));
}

TEST(Cause, IsNotASocketThatIsForIPv6Only) {
  const bind_request six = to("[::]:20111", protocol::tcp, ipv6_only::yes);
  const std::string there = in_namespace([&] {
    const unique_fd listener = open(six);
    return why(here);
  });
  SKIP_IF_DENIED(there);
  EXPECT_THAT(there, AllOf(HasSubstr("127.0.0.1:20111 is free"),
                           HasSubstr("not in the way: [::]:20111 and 127.0.0.1:20111 do not meet: "
                                     "the IPv6 one has IPV6_V6ONLY set")));
  const std::string wanted = in_namespace([&] {
    const unique_fd listener = open(here);
    return why(six);
  });
  EXPECT_THAT(wanted, AllOf(HasSubstr("[::]:20111 is free"), HasSubstr("not in the way: ")));
}

TEST(Cause, IsNotAnotherAddressOnTheSamePort) {
  const std::string said = in_namespace([] {
    const unique_fd other = open(to("127.0.0.2:20111"));
    const std::string free = why(here);
    const unique_fd listener = open(here);
    return free + why(here);
  });
  SKIP_IF_DENIED(said);
  constexpr const char* line =
      "not in the way: 127.0.0.2:20111 and 127.0.0.1:20111 are different addresses";
  EXPECT_THAT(said, AllOf(StartsWith("tidewait: 127.0.0.1:20111 is free"), HasSubstr(line)));
  const std::string taken = said.substr(said.find("is in use"));
  EXPECT_THAT(taken, AllOf(HasSubstr(line), HasSubstr("is still listening")));
}

TEST(Cause, IsTimeWaitThatReuseAddressHelpsAgainst) {
  const std::string said = in_namespace([] {
    { connected(reuse::address).server.reset(); }
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("TIME_WAIT"), HasSubstr("kernel, "),
                          HasSubstr(" s without SO_REUSEADDR; with it, it succeeds"),
                          HasSubstr("why: this side closed the connection first")));
}

TEST(Cause, IsTimeWaitOfAListenerThatHadNotSetReuseAddress) {
  const std::string said = in_namespace([] {
    { connected(reuse::none).server.reset(); }
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("even with SO_REUSEADDR (the earlier listener had not set it)"),
                          HasSubstr("on this listener and on the one before it")));
}

TEST(Cause, IsAPortSharedSilently) {
  const std::string said = in_namespace([] {
    return beside([] { return open(here, reuse::port); },
                  [] {
                    const unique_fd ours = open(here, reuse::port);
                    return why(here);
                  });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("listen on one port through SO_REUSEPORT: no bind fails"),
                          HasSubstr("SO_REUSEPORT would share the port with the listener")));
}

TEST(Cause, IsABoundSocketThatDoesNotListen) {
  const std::string said = in_namespace([] {
    std::error_code error;
    const unique_fd bound = tidewait::detail::bind_socket(here, reuse::none, error);
    return why(here);
  });
  SKIP_IF_DENIED(said);
  if (tidewait::detail::kernel_lists_bound_sockets()) {
    EXPECT_THAT(said, AllOf(HasSubstr("BOUND"),
                            HasSubstr("is still bound to the port, without listening")));
  } else {
    EXPECT_THAT(said, HasSubstr("no visible socket uses the port"));
  }
}

TEST(Cause, IsAUdpSocket) {
  const bind_request udp = to("127.0.0.1:20111", protocol::udp);
  const std::string said = in_namespace([&] {
    const unique_fd socket = open(udp);
    return why(udp) + why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("UDP 127.0.0.1:20111 is in use"),
                          HasSubstr("is still bound to the UDP port"),
                          HasSubstr("(both sockets have to set it, and the other has not)"),
                          HasSubstr("tidewait: 127.0.0.1:20111 is free")));
}

TEST(Cause, IsAListenerClosedUnderAThreadInAccept) {
  const std::string said = in_namespace([] {
    unique_fd listener = open(here);
    pthread_t thread;
    const int fd = listener.get();
    ::pthread_create(
        &thread, nullptr,
        [](void* of) -> void* {
          ::accept4(*static_cast<const int*>(of), nullptr, nullptr, SOCK_CLOEXEC);
          return nullptr;
        },
        const_cast<int*>(&fd));
    while (!tidewait::detail::any_thread_waits_for(fd)) {
      tidewait::detail::sleep_for(std::chrono::milliseconds{1});
    }
    listener.reset();
    const std::string text = why(here);
    sockets::connect_to(port);  // wakes it
    ::pthread_join(thread, nullptr);
    return text;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(testing::ContainsRegex("pid [0-9]+ [^ ]+ thread [0-9]+"),
                          testing::ContainsRegex("no descriptor of this listener is open, but "
                                                 "thread [0-9]+ of this process still waits in "
                                                 "accept\\(\\) on the descriptor"),
                          HasSubstr("shutdown(fd, SHUT_RDWR) before close(fd)")));
}

TEST(Cause, IsAConnectionThatIsStillOpen) {
  const std::string said = in_namespace([] {
    connected both;
    both.listener.reset();
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr(" still has the connection with 127.0.0.1:"),
                          HasSubstr(" open (ESTABLISHED)")));
}

TEST(Cause, IsAConnectionThatNobodyHasAccepted) {
  const std::string said = in_namespace([] {
    const unique_fd listener = open(here);
    const unique_fd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const tidewait::detail::socket_address where{here.local};
    static_cast<void>(::connect(client.get(), where.get(), where.size));
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("waits in the listener's queue: no accept() has taken it"));
}

TEST(Cause, IsAConnectionWhosePeerHasNotClosed) {
  const std::string said = in_namespace([] {
    connected both;
    both.listener.reset();
    both.server.reset();
    tidewait::socket_query closed;
    closed.states = tidewait::socket_state::fin_wait2;
    for (int i = 0; i < 5000 && tidewait::socket_table::current(closed).sockets.empty(); ++i) {
      tidewait::detail::sleep_for(std::chrono::milliseconds{1});
    }
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said,
              HasSubstr("was closed here and is in FIN_WAIT2: the peer, this process, has not "
                        "closed"));
}

TEST(Cause, IsAnOutgoingConnection) {
  const std::string said = in_namespace([] {
    const connected both;
    sockaddr_in name{};
    socklen_t size = sizeof name;
    ::getsockname(both.client.get(), reinterpret_cast<sockaddr*>(&name), &size);
    bind_request thief = here;
    thief.local.port = ntohs(name.sin_port);
    return why(thief);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("uses the port as the local end of a connection to "
                                    "127.0.0.1:20111; the port is in the ephemeral range"),
                          HasSubstr("lease_port() gives one")));
}

TEST(Cause, IsARightThatIsMissing) {
  const std::string said = in_namespace([] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (::syscall(SYS_capset, &header, none) != 0) return std::string{"skip: capset"};
    return why(to("*:80"));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("tidewait: 0.0.0.0:80 cannot be bound"),
                          HasSubstr("fails: Permission denied"),
                          HasSubstr("not in use: ports below 1024 are privileged"),
                          Not(HasSubstr("is in use"))));
}

TEST(Cause, IsAnAddressThatTheMachineHasNot) {
  const std::string said = in_namespace([] { return why(to("192.0.2.1:20111")); });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(StartsWith("tidewait: 192.0.2.1:20111 cannot be bound"),
                          HasSubstr("no interface of this network namespace has the address"),
                          HasSubstr("a virtual IP that another machine has now")));
}

}  // namespace
