// SPDX-License-Identifier: BSL-1.0
#include <gtest/gtest.h>

#include <tidewait/leftovers.hpp>

namespace {

using tidewait::ownership;
using tidewait::socket_entry;
using tidewait::socket_state;

bool passes(socket_state state, ownership owned, std::uint32_t inode) {
  socket_entry socket;
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
