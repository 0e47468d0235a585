// SPDX-License-Identifier: BSL-1.0
//
// TIME_WAIT without a lease: whose it is, and what asking for it costs. Each test has a network
// namespace of its own. No count of TIME_WAITs decides: it falls while a test adds one.
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/watch.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tidewait::socket_state;
using tidewait::watch;
using tidewait::detail::sys;

constexpr std::uint16_t port = 20111;

/// Makes the port one on which this process was seen to listen.
void listen_once(std::uint16_t on = port) {
  const int listener = sockets::listen_on(on);
  { const watch around; }
  ::close(listener);
}

/// A TIME_WAIT of a client: its side closes first.
void leave_clients(int listener, std::uint16_t of, int count) {
  for (int i = 0; i < count; ++i) {
    const auto [client, server] = sockets::connection(listener, of);
    ::close(client);
    ::close(server);
  }
}

/// Takes every TIME_WAIT of the namespace away, as if its minute were over (SOCK_DESTROY,
/// sock_diag(7)). Whether the kernel can.
bool expire_time_waits() {
  tidewait::socket_query query;
  query.udp = false;
  query.states = socket_state::time_wait;
  const tidewait::detail::unique_fd diag{
      ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
  for (const auto& socket : tidewait::socket_table::current(query).sockets) {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = 21;  // SOCK_DESTROY
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message.request.sdiag_family = AF_INET;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = ~0U;
    message.request.id.idiag_sport = htons(socket.local.port);
    message.request.id.idiag_dport = htons(socket.remote.port);
    std::memcpy(message.request.id.idiag_src, socket.local.address.bytes().data(), 4);
    std::memcpy(message.request.id.idiag_dst, socket.remote.address.bytes().data(), 4);
    message.request.id.idiag_cookie[0] = static_cast<__u32>(socket.cookie);
    message.request.id.idiag_cookie[1] = static_cast<__u32>(socket.cookie >> 32U);
    char answer[256];
    if (::send(diag.get(), &message, sizeof message, 0) < 0 ||
        ::recv(diag.get(), answer, sizeof answer, 0) < 0) {
      return false;
    }
  }
  return tidewait::time_wait_count() == 0U;
}

int questions = 0;  ///< How often the kernel was asked for sockets.
ssize_t counted_sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                       socklen_t length) {
  ++questions;
  return ::sendto(fd, data, size, flags, to, length);
}

/// So many questions a look asks.
int questions_of(watch& test) {
  const auto before = sys;
  sys.sendto = counted_sendto;
  questions = 0;
  const bool clean = test.look().clean();
  sys = before;
  return clean ? questions : -1;
}

TEST(TimeWait, IsSeenWhileOlderOnesExpire) {
  const std::string said = in_private_network([](auto say) {
    listen_once();
    for (int i = 0; i < 3; ++i) sockets::leave_time_wait(20112);
    watch test{{}, "This"};
    if (!expire_time_waits()) return static_cast<void>(say("skip: no SOCK_DESTROY here"));
    sockets::leave_time_wait(port);
    say(render(test.look()));
    // ... and nobody else is blamed for it.
    watch next{{}, "Next"};
    say(render(next.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("tidewait: This left 1 socket behind on 127.0.0.1:20111"));
  EXPECT_THAT(said, Not(HasSubstr("Next")));
}

TEST(TimeWait, IsNotTheNextTestsNorItsSuites) {
  const std::string said = in_private_network([](auto say) {
    listen_once();
    sockets::leave_time_wait(port);
    watch suite{{}, "Suite"};
    watch first{{}, "First"};
    say("-" + render(first.look()));
    tidewait::policy tolerant;
    watch second{tolerant.tolerate(socket_state::time_wait), "Second"};
    sockets::leave_time_wait(port);
    say("-" + render(second.look()));
    watch third{{}, "Third"};
    say("-" + render(third.look()) + "-" + render(suite.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "----");
}

TEST(TimeWait, FromBeforeATestIsNotItsOwnWhereItEndsTheServer) {
  const std::string said = in_private_network([](auto say) {
    watch suite{{}, "Suite"};
    const int listener = sockets::listen_on(port);
    const auto [client, server] = sockets::connection(listener, port);
    ::close(server);
    ::close(client);
    watch test{{}, "Test"};
    ::close(listener);
    say("-" + render(test.look()) + "-" + render(suite.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("--tidewait: Suite left 1 socket behind on 127.0.0.1:20111"));
}

TEST(TimeWait, OfClientsStartsNoFurtherQuestion) {
  const std::string said = in_private_network([](auto say) {
    const auto lease = tidewait::lease_port();
    const int leased = sockets::listen_on(lease.number());
    const int listener = sockets::listen_on(port);
    watch clean;
    const int few = questions_of(clean);
    watch test;
    leave_clients(listener, port, 50);
    leave_clients(leased, lease.number(), 50);
    const int many = questions_of(test);
    say(few == many && few > 0 ? "as many" : std::to_string(few) + ", " + std::to_string(many));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "as many");
}

TEST(TimeWait, OfAServerThatWasThereBeforeStartsNoFurtherQuestion) {
  const std::string said = in_private_network([](auto say) {
    const auto lease = tidewait::lease_port();
    const int leased = sockets::listen_on(lease.number());
    const int listener = sockets::listen_on(port);
    watch clean;
    const int few = questions_of(clean);
    watch test;
    for (const auto& [fd, number] :
         {std::pair{leased, lease.number()}, std::pair{listener, port}}) {
      const auto [client, server] = sockets::connection(fd, number);
      ::close(server);
      ::close(client);
    }
    const int many = questions_of(test);
    say(few == many && few > 0 ? "as many" : std::to_string(few) + ", " + std::to_string(many));
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "as many");
}

TEST(TimeWait, IsFoundAmongManyPortsOfThisProcess) {
  const std::string said = in_private_network([](auto say) {
    std::vector<int> listeners;
    for (std::uint16_t i = 0; i < 100; ++i) listeners.push_back(sockets::listen_on(21000 + i));
    { const watch around; }
    for (const int each : listeners) ::close(each);
    watch test{{}, "This"};
    sockets::leave_time_wait(21050);
    say(render(test.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("tidewait: This left 1 socket behind on 127.0.0.1:21050"));
}

TEST(TimeWait, OfNobodyIsANoteOfTheThoroughLookAlone) {
  const std::string said = in_private_network([](auto say) {
    tidewait::detail::shared_state::instance().binds.stop();
    watch program{{}, "Program", tidewait::look_depth::thorough};
    watch test{{}, "Test"};
    sockets::leave_time_wait(port);
    say("-" + render(test.look()) + "-");
    const tidewait::report last = program.look();
    say((last.clean() ? "clean" : "not clean") + render(last));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("--clean"));
  EXPECT_THAT(said, HasSubstr("a TIME_WAIT appeared on 127.0.0.1:20111 during a test and cannot"));
}

TEST(TimeWait, IsTheTestsInANamespaceOfItsOwn) {
  const std::string said = in_private_network([](auto say) {
    ::setenv(tidewait::detail::private_namespace_variable,
             std::to_string(tidewait::detail::current_net_namespace()).c_str(), 1);
    sockets::leave_time_wait(20112);
    watch test{{}, "Test"};
    sockets::leave_time_wait(port);
    say(render(test.look()));
    watch next{{}, "Next"};
    say(render(next.look()));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, StartsWith("tidewait: Test left 1 socket behind on 127.0.0.1:20111"));
  EXPECT_THAT(said, Not(HasSubstr("Next")));
}

}  // namespace
