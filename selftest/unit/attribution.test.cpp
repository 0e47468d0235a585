// SPDX-License-Identifier: BSL-1.0
//
// Whose a socket is and what becomes of it, as functions of their arguments: no kernel, no process.
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/detail/leftovers.hpp>

namespace {

using tidewait::action;
using tidewait::observed_socket;
using tidewait::ownership;
using tidewait::policy;
using tidewait::process;
using tidewait::protocol;
using tidewait::relation;
using tidewait::socket_state;
using tidewait::detail::attribute;
using tidewait::detail::attribution;
using tidewait::detail::baseline;
using tidewait::detail::judge_sockets;
using tidewait::detail::sightings;
using namespace std::chrono_literals;

observed_socket socket_of(socket_state state, ownership owned, relation holder = relation::other) {
  observed_socket socket;
  socket.state = state;
  socket.local = {tidewait::ip_address{tidewait::ip_address::v4_bytes{127, 0, 0, 1}}, 8080};
  socket.cookie = 7;
  socket.uid = ~0U;  // nobody's, so that no thread of this program is taken for its holder
  socket.owned = owned;
  if (owned == ownership::found) socket.owners = {process{1, "server", "", {3}, "", holder}};
  return socket;
}

TEST(Attribution, IsByHolderLeaseAndWhatWasSeen) {
  const auto found = ownership::found;
  const struct {
    const char* name;
    observed_socket socket;
    bool leased;
    bool seen_listening;
    bool private_namespace;
    attribution whose;
  } table[] = {
      {"own process", socket_of(socket_state::listen, found, relation::self), false, false, false,
       attribution::ours},
      {"own child", socket_of(socket_state::listen, found, relation::descendant), false, false,
       false, attribution::ours},
      {"orphan of this run", socket_of(socket_state::listen, found, relation::marked_orphan), false,
       false, false, attribution::ours},
      {"other program", socket_of(socket_state::listen, found), false, true, false,
       attribution::foreign},
      {"other program on a leased port", socket_of(socket_state::listen, found), true, false, false,
       attribution::ours},
      {"private namespace", socket_of(socket_state::listen, found), false, false, true,
       attribution::ours},
      {"TIME_WAIT where we listened", socket_of(socket_state::time_wait, ownership::kernel), false,
       true, false, attribution::ours},
      {"TIME_WAIT elsewhere", socket_of(socket_state::time_wait, ownership::kernel), false, false,
       false, attribution::unseen},
      {"holder hidden", socket_of(socket_state::listen, ownership::hidden), false, true, false,
       attribution::unseen},
      {"no holder", socket_of(socket_state::listen, ownership::ownerless), false, true, false,
       attribution::unseen},
  };
  for (const auto& row : table) {
    sightings seen;
    if (row.seen_listening) seen.note_own_listener(8080);
    baseline before;
    before.private_namespace = row.private_namespace;
    EXPECT_EQ(attribute(row.socket, row.leased, before, seen), row.whose) << row.name;
  }
}

TEST(Attribution, LeavesOutWhatWasThereBeforeAndWhatWasReported) {
  const observed_socket socket = socket_of(socket_state::listen, ownership::found, relation::self);
  baseline before;
  sightings seen;
  EXPECT_FALSE(before.knows(socket, seen));
  seen.mark_handled({9, 7});
  EXPECT_TRUE(before.knows(socket, seen));
  before.known = {7};
  EXPECT_TRUE(before.knows(socket, {}));
}

TEST(Attribution, IsJudgedByThePolicy) {
  const std::vector<observed_socket> left{
      socket_of(socket_state::listen, ownership::found, relation::self),
      socket_of(socket_state::time_wait, ownership::kernel),
      socket_of(socket_state::listen, ownership::found),
      socket_of(socket_state::listen, ownership::hidden)};
  policy rules;
  rules.warn(socket_state::listen);
  sightings seen;
  const auto judged = judge_sockets({protocol::tcp, 8080}, left, false, rules, "A.b", {}, seen, {});
  // The TIME_WAIT and the other program's listener accuse nobody.
  ASSERT_EQ(judged.size(), 2U);
  EXPECT_EQ(judged[0].what, action::warn);
  EXPECT_TRUE(judged[0].certain);
  ASSERT_NE(judged[0].rule, nullptr);
  EXPECT_EQ(judged[0].rule->state, socket_state::listen);
  EXPECT_FALSE(judged[1].certain);
  EXPECT_TRUE(
      judge_sockets({protocol::tcp, 8081}, left, false, rules, "A.b", {}, seen, {}).empty());
  EXPECT_TRUE(
      judge_sockets({protocol::udp, 8080}, left, false, rules, "A.b", {}, seen, {}).empty());
}

TEST(Attribution, OfAUdpSocketThatMayBeAClientIsNotCertain) {
  observed_socket socket = socket_of(socket_state::unconn, ownership::found, relation::self);
  socket.protocol = protocol::udp;
  socket.local = {tidewait::ip_address::any_v4(), 40000};
  const sightings seen;
  const tidewait::detail::port_key port{protocol::udp, 40000};
  EXPECT_FALSE(judge_sockets(port, {socket}, false, {}, "A.b", {}, seen, {}).front().certain);
  EXPECT_TRUE(judge_sockets(port, {socket}, true, {}, "A.b", {}, seen, {}).front().certain);
}

TEST(Attribution, OfATimeWaitThatBeganBeforeTheTestIsNotTheTests) {
  observed_socket socket = socket_of(socket_state::time_wait, ownership::kernel);
  baseline before;
  before.since = std::chrono::steady_clock::now() - 10s;
  socket.time_left = 55s;
  EXPECT_FALSE(began_before(socket, before));
  socket.time_left = 45s;
  EXPECT_TRUE(began_before(socket, before));
}

}  // namespace
