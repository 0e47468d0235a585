// SPDX-License-Identifier: BSL-1.0
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/wait_until.hpp>

namespace {

using namespace std::chrono_literals;
using tidewait::endpoint;
using tidewait::ip_address;
using tidewait::protocol;

const ip_address loopback{ip_address::v4_bytes{127, 0, 0, 1}};
const ip_address loopback6 = *tidewait::parse_address("::1");

TEST(SocketEndMonitor, HearsWhenASocketOnThePortEnds) {
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    for (const ip_address& address : {loopback, loopback6}) {
      auto socket = std::make_unique<tidewait::bound_socket>(
          tidewait::bind_request{which, endpoint{address, 0}});
      const std::uint16_t port = socket->port();
      tidewait::detail::socket_end_monitor ends{which};
      if (!ends.hears()) GTEST_SKIP() << "the kernel does not tell";
      const tidewait::bound_socket other{tidewait::bind_request{which, endpoint{address, 0}}};
      EXPECT_FALSE(ends.wait(port, 0ms));
      socket.reset();
      EXPECT_TRUE(ends.wait(port, 1h)) << to_string(address);
      EXPECT_FALSE(ends.wait(other.port(), 0ms));
    }
  }
}

TEST(SocketEndMonitor, TellsTheEndOfAnotherPort) {
  tidewait::detail::socket_end_monitor ends{protocol::tcp};
  if (!ends.hears()) GTEST_SKIP() << "the kernel does not tell";
  const tidewait::listening_socket kept;
  { const tidewait::listening_socket closed; }
  EXPECT_FALSE(ends.wait(kept.port(), 5ms));
}

/// More sockets end than the queue of the monitor takes: it says so, and hears on.
TEST(SocketEndMonitor, DoesNotGoDeafWhereTooManyEnd) {
  tidewait::detail::socket_end_monitor ends{protocol::udp};
  if (!ends.hears()) GTEST_SKIP() << "the kernel does not tell";
  for (int i = 0; i < 5000; ++i) {
    const tidewait::bound_socket one{tidewait::bind_request{protocol::udp, endpoint{loopback, 0}}};
  }
  auto last = std::make_unique<tidewait::bound_socket>(
      tidewait::bind_request{protocol::udp, endpoint{loopback, 0}});
  const std::uint16_t port = last->port();
  last.reset();
  EXPECT_TRUE(ends.wait(port, 1h));
  auto later = std::make_unique<tidewait::bound_socket>(
      tidewait::bind_request{protocol::udp, endpoint{loopback, 0}});
  const std::uint16_t later_port = later->port();
  later.reset();
  EXPECT_TRUE(ends.wait(later_port, 1h));
}

TEST(WaitUntilFree, ReturnsWhenTheListenerCloses) {
  auto server = std::make_unique<tidewait::listening_socket>();
  const endpoint local = server->local();
  EXPECT_FALSE(tidewait::wait_until_free(local, 0ms).free());
  auto free =
      std::async(std::launch::async, [&] { return tidewait::wait_until_free(local, 1h).free(); });
  server.reset();
  EXPECT_TRUE(free.get());
  EXPECT_TRUE(tidewait::wait_until_free(protocol::tcp, local.port, 0ms).free());
}

TEST(WaitUntilFree, SaysWhoIsThereAtTheEndOfTheTime) {
  const tidewait::listening_socket server;
  const auto why = tidewait::wait_until_free(server.local(), 5ms).why;
  EXPECT_FALSE(why.free());
  ASSERT_FALSE(why.conflicting.empty());
  EXPECT_EQ(why.conflicting.front().local, server.local());
}

TEST(WaitUntilListening, SeesAListenerComeAndDoesNotConnect) {
  const tidewait::port_lease port = tidewait::lease_port();
  const endpoint local{loopback, port.number()};
  EXPECT_TRUE(tidewait::wait_until_listening(local, 0ms).empty());
  auto seen =
      std::async(std::launch::async, [&] { return tidewait::wait_until_listening(local, 1h); });
  const tidewait::listening_socket server{local};
  const auto sockets = seen.get();
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(sockets.front().local, local);
  ASSERT_FALSE(sockets.front().owners.empty());
  EXPECT_EQ(sockets.front().owners.front().pid, ::getpid());
  pollfd connection{server.native_handle(), POLLIN, 0};
  EXPECT_EQ(::poll(&connection, 1, 0), 0) << "nobody has connected";
}

TEST(WaitUntilListening, TakesAWildcardForItsAddresses) {
  const tidewait::listening_socket server{endpoint{ip_address::any_v6(), 0}};
  EXPECT_FALSE(tidewait::wait_until_listening(endpoint{loopback, server.port()}, 0ms).empty());
  EXPECT_FALSE(tidewait::wait_until_listening(endpoint{loopback6, server.port()}, 0ms).empty());
  const tidewait::listening_socket here{endpoint{loopback, 0}};
  const endpoint elsewhere{*tidewait::parse_address("127.0.0.2"), here.port()};
  EXPECT_TRUE(tidewait::wait_until_listening(elsewhere, 0ms).empty());
}

}  // namespace
