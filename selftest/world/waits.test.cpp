// SPDX-License-Identifier: BSL-1.0
//
// Waiting for a port, in a world where time passes only by waiting.
#include <chrono>

#include <gtest/gtest.h>

#include <tidewait/wait_until.hpp>

namespace {

using tidewait::relation;
using tidewait::socket_state;
using namespace std::chrono_literals;

const tidewait::endpoint server = *tidewait::parse_endpoint("127.0.0.1:8080");

class Waits : public testing::Test {
 protected:
  Waits() { there = {}; }
  std::chrono::milliseconds passed() const { return there.now - begin_; }

  world& there = world::now_there();

 private:
  const std::chrono::milliseconds begin_ = world{}.now;
};

TEST_F(Waits, DoesNotWaitForWhatIsFree) {
  EXPECT_TRUE(tidewait::wait_until_free(server, 10s).free());
  EXPECT_EQ(passed(), 0ms);
}

TEST_F(Waits, OutlastsATimeWait) {
  there.add(socket_state::time_wait, "127.0.0.1:8080", "127.0.0.1:40000");
  EXPECT_TRUE(tidewait::wait_until_free(server, 90s).free());
  EXPECT_GE(passed(), 60s);
  EXPECT_LT(passed(), 61s);
}

TEST_F(Waits, SaysAtTheDeadlineWhatIsThere) {
  there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
  const auto why = tidewait::wait_until_free(server, 10s).why;
  EXPECT_FALSE(why.free());
  EXPECT_EQ(why.conflicting.size(), 1U);
  EXPECT_EQ(passed(), 10s) << "and not longer";
}

TEST_F(Waits, AsksOftenAtFirstAndThenLess) {
  there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
  static_cast<void>(tidewait::wait_until_free(server, 3600s));
  EXPECT_LT(there.binds, 3600U * 21U);
  EXPECT_GT(there.binds, 3600U * 19U);
}

TEST_F(Waits, DoesNotWaitForARight) {
  const auto why = tidewait::wait_until_free(*tidewait::parse_endpoint("127.0.0.1:80"), 10s);
  EXPECT_FALSE(why.free());
  EXPECT_EQ(passed(), 0ms);
}

TEST_F(Waits, GoesOnWhereSomebodyIsFaster) {
  there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
  there.later.push_back({there.now + 1s, [this] { there.remove_all_on(8080); }});
  there.later.push_back({there.now + 2s, [this] {
                           there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
                         }});
  EXPECT_TRUE(tidewait::wait_until_free(server, 10s).free());
  EXPECT_GE(passed(), 1s);
  EXPECT_LT(passed(), 2s);
}

TEST_F(Waits, WaitsAsLongAsItTakesIfToldSo) {
  for (const auto forever : {std::chrono::milliseconds::max(), std::chrono::milliseconds{1h}}) {
    there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
    there.later.push_back({there.now + 3s, [this] { there.remove_all_on(8080); }});
    EXPECT_TRUE(tidewait::wait_until_free(server, forever).free());
  }
  EXPECT_GE(passed(), 6s);
}

TEST_F(Waits, DoesNotWaitIfTheTimeIsOverAlready) {
  there.add(socket_state::listen, "127.0.0.1:8080", relation::other);
  EXPECT_FALSE(tidewait::wait_until_free(server, -1ms).free());
  EXPECT_FALSE(tidewait::wait_until_free(server, std::chrono::milliseconds::min()).free());
  EXPECT_EQ(passed(), 0ms);
}

TEST_F(Waits, ThrowsWhereNoTableSaysWhoListens) {
  there.no_table = std::make_error_code(std::errc::operation_not_permitted);
  EXPECT_THROW(static_cast<void>(tidewait::wait_until_listening(server, 10s)),
               tidewait::observe_error);
  EXPECT_EQ(passed(), 0ms);
}

TEST_F(Waits, FindsAListenerThatComes) {
  there.later.push_back(
      {there.now + 3s, [this] { there.add(socket_state::listen, "[::]:8080", relation::other); }});
  EXPECT_EQ(tidewait::wait_until_listening(server, 10s).size(), 1U);
  EXPECT_GE(passed(), 3s);
  EXPECT_LE(passed(), 3050ms);
}

}  // namespace
