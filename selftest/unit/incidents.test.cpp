// SPDX-License-Identifier: BSL-1.0
#include <gmock/gmock.h>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

bool hand_in(const char* text) {
  using namespace tidewait::detail;
  return hand_in_incident(shared_state::instance(), text);
}

TEST(Incidents, FailTheNextLookAndOnlyThat) {
  tidewait::watch outer;
  tidewait::watch watch;
  EXPECT_TRUE(hand_in("a server had to be killed"));

  const tidewait::report found = watch.look();
  EXPECT_FALSE(found.clean());
  EXPECT_FALSE(found.silent());
  EXPECT_THAT(found.incidents, ElementsAre("a server had to be killed"));
  EXPECT_THAT(outer.look().incidents, IsEmpty());
}

TEST(Incidents, AreRefusedWhereNobodyWillLook) {
  { const tidewait::watch over; }
  EXPECT_FALSE(hand_in("lost"));
  tidewait::watch watch;
  EXPECT_THAT(watch.look().incidents, IsEmpty());
}

TEST(Incidents, AreRenderedWithTheTestAndALineOfTheirOwn) {
  tidewait::report found;
  found.test = "Echo.Replies";
  found.incidents = {"redis-server (pid 7) had to be killed\noutput:\n  ready", "another"};
  EXPECT_EQ(render(found),
            "tidewait: Echo.Replies: redis-server (pid 7) had to be killed\n"
            "  output:\n"
            "    ready\n"
            "tidewait: Echo.Replies: another\n");
}

}  // namespace
