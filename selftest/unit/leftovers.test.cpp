// SPDX-License-Identifier: BSL-1.0
#include <sys/syscall.h>

#include <gtest/gtest.h>

#include <tidewait/detail/leftovers.hpp>

#include "swapped_system.hpp"

namespace {

using tidewait::observed_socket;
using tidewait::ownership;
using tidewait::socket_state;

bool passes(socket_state state, ownership owned, std::uint32_t inode) {
  observed_socket socket;
  socket.state = state;
  socket.owned = owned;
  socket.inode = inode;
  return tidewait::detail::any_passing({socket});
}

TEST(Leftovers, PassByThemselvesIfNobodyHoldsTheClosingConnection) {
  EXPECT_TRUE(passes(socket_state::fin_wait1, ownership::kernel, 0));
  EXPECT_TRUE(passes(socket_state::last_ack, ownership::kernel, 0));
  EXPECT_FALSE(passes(socket_state::fin_wait1, ownership::found, 7));
}

TEST(Leftovers, OfAProcessThatCannotBeSeenMayBeThoseOfOneThatIsEnding) {
  EXPECT_TRUE(passes(socket_state::listen, ownership::hidden, 7));
  EXPECT_TRUE(passes(socket_state::listen, ownership::ownerless, 7));
}

/// A machine whose process 100, this one, has threads in accept() on descriptors that are gone.
class ClosedUnderAccept : public testing::Test {
 protected:
  ClosedUnderAccept() {
    proc_.process(1, 0, "init", {});
    proc_.process(100, 1, "test", {});
    proc_.link("self", "100");
    proc_.file("100/status", "Uid:\t" + std::to_string(::getuid()) + '\t' +
                                 std::to_string(::geteuid()) + "\t0\t0\n");
  }
  void accepts(int thread, int fd) const {
    proc_.file("100/task/" + std::to_string(thread) + "/syscall",
               std::to_string(SYS_accept4) + " 0x" + std::to_string(fd) +
                   " 0x0 0x0 0x0 0x0 0x0 0x7ffc 0x7f00\n");
  }
  static observed_socket ownerless(std::uint16_t port) {
    observed_socket socket;
    socket.state = socket_state::listen;
    socket.local.port = port;
    socket.owned = ownership::ownerless;
    socket.inode = port;
    socket.uid = ::geteuid();
    return socket;
  }
  static bool any_passing(std::vector<observed_socket> sockets) {
    tidewait::detail::find_keepers(sockets);
    return tidewait::detail::any_passing(sockets);
  }

 private:
  proc_tree proc_;
};

TEST_F(ClosedUnderAccept, IsAsManyListenersAsDescriptors) {
  const std::vector<observed_socket> one{ownerless(1)};
  const std::vector<observed_socket> two{ownerless(1), ownerless(2)};
  EXPECT_TRUE(any_passing(one)) << "of a program that is just ending";
  accepts(100, 5);
  EXPECT_FALSE(any_passing(one));
  EXPECT_TRUE(any_passing(two));
  accepts(101, 5);
  EXPECT_TRUE(any_passing(two)) << "two threads, one listener";
  accepts(102, 6);
  EXPECT_FALSE(any_passing(two));
}

TEST_F(ClosedUnderAccept, IsNoOtherUsersListener) {
  accepts(100, 5);
  std::vector<observed_socket> sockets{ownerless(1), ownerless(2)};
  sockets[0].uid = 4711;
  tidewait::detail::find_keepers(sockets);
  EXPECT_EQ(tidewait::detail::attribute(sockets[0], false, {}, {}),
            tidewait::detail::attribution::unseen);
  EXPECT_EQ(tidewait::detail::attribute(sockets[1], false, {}, {}),
            tidewait::detail::attribution::ours);
  ASSERT_TRUE(sockets[1].keeper);
  EXPECT_EQ(sockets[1].keeper->who.pid, 100);
  EXPECT_EQ(sockets[1].keeper->who.thread, 100);
  EXPECT_EQ(sockets[1].keeper->what, "accept()");
}

TEST_F(ClosedUnderAccept, IsNoUdpSocket) {
  accepts(100, 5);
  observed_socket socket = ownerless(1);
  socket.protocol = tidewait::protocol::udp;
  socket.state = socket_state::unconn;
  EXPECT_TRUE(any_passing({socket}));
}

TEST_F(ClosedUnderAccept, DoesNotMakeATimeWaitOnThatPortOurs) {
  accepts(100, 5);
  std::vector<tidewait::detail::port_key> ports;
  tidewait::detail::sightings seen;
  add_fresh_ports({ownerless(20001)}, {}, {}, {}, seen, ports);
  EXPECT_EQ(ports.size(), 1U);
  EXPECT_FALSE(seen.is_own_listener(20001));
}

TEST(Leftovers, ThatProcessesOutsideMayHoldAreNeitherAccusedNorWaitedFor) {
  observed_socket socket;
  socket.state = socket_state::listen;
  socket.owned = ownership::outside;
  EXPECT_FALSE(tidewait::detail::any_passing({socket}));
  EXPECT_EQ(tidewait::detail::attribute(socket, false, {}, {}),
            tidewait::detail::attribution::foreign);
  socket.keeper.emplace();
  socket.keeper->who.relation = tidewait::relation::self;
  EXPECT_EQ(tidewait::detail::attribute(socket, false, {}, {}),
            tidewait::detail::attribution::ours);
}

TEST(Leftovers, ThatAreAListenerOrATimeWaitAreNeverWaitedFor) {
  EXPECT_FALSE(passes(socket_state::listen, ownership::found, 7));
  EXPECT_FALSE(passes(socket_state::time_wait, ownership::kernel, 0));
}

TEST(Leftovers, ThatHavePassedAreNotWorthAWord) {
  tidewait::report clean;
  clean.waited = std::chrono::milliseconds{3};
  EXPECT_TRUE(clean.silent());
  EXPECT_EQ(render(clean), "");
}

}  // namespace
