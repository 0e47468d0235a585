// SPDX-License-Identifier: BSL-1.0
#include <cctype>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/socket_entry.hpp>

namespace {

using tidewait::ipv6_only;
using tidewait::parse_socket_state;
using tidewait::relation;
using tidewait::socket_entry;
using tidewait::socket_state;
using tidewait::state_set;

TEST(SocketState, IsNumberedAsTheKernelNumbersIt) {
  // include/net/tcp_states.h
  EXPECT_EQ(static_cast<int>(socket_state::established), 1);
  EXPECT_EQ(static_cast<int>(socket_state::time_wait), 6);
  EXPECT_EQ(static_cast<int>(socket_state::listen), 10);
  EXPECT_EQ(static_cast<int>(socket_state::bound), 13);
}

TEST(SocketState, IsReadAsItIsPrintedInEitherCase) {
  for (const socket_state state : tidewait::all_socket_states) {
    std::string name{to_string(state)};
    EXPECT_EQ(parse_socket_state(name), state) << name;
    for (char& c : name) {
      c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    EXPECT_EQ(parse_socket_state(name), state) << name;
  }
  EXPECT_EQ(to_string(socket_state::time_wait), "TIME_WAIT");
  EXPECT_EQ(to_string(socket_state{12}), "UNKNOWN");
  for (const char* text : {"", "UNKNOWN", "TIME WAIT", "TIMEWAIT", "LISTENING", "LISTE", "10"}) {
    EXPECT_EQ(parse_socket_state(text), std::nullopt) << text;
  }
}

TEST(SocketState, MakesSets) {
  const state_set some = socket_state::listen | socket_state::bound;
  EXPECT_TRUE(some.contains(socket_state::listen));
  EXPECT_FALSE(some.contains(socket_state::time_wait));
  EXPECT_EQ(some.bits(), 1U << 10U | 1U << 13U);
  EXPECT_EQ((some - socket_state::bound).bits(), 1U << 10U);
  EXPECT_EQ((some & socket_state::bound).bits(), 1U << 13U);
  EXPECT_TRUE((some & socket_state::unconn).empty());
  EXPECT_TRUE(state_set{}.empty());
  EXPECT_EQ(state_set::all().bits(), 0x2ffeU);
}

TEST(SocketEntry, CoversIPv4UnlessItIsKnownNotTo) {
  socket_entry socket;
  EXPECT_EQ(socket.ipv6_only(), ipv6_only::no);
  socket.v6only = true;
  EXPECT_EQ(socket.ipv6_only(), ipv6_only::yes);
  socket.v6only = false;
  EXPECT_EQ(socket.ipv6_only(), ipv6_only::no);
}

TEST(Process, IsOursInEveryRelationButOne) {
  tidewait::process owner;
  EXPECT_FALSE(owner.ours());
  for (const relation each : {relation::self, relation::descendant, relation::marked_orphan}) {
    owner.relation = each;
    EXPECT_TRUE(owner.ours()) << to_string(each);
  }
  EXPECT_EQ(to_string(relation::self), "self");
  EXPECT_EQ(to_string(relation::descendant), "descendant");
  EXPECT_EQ(to_string(relation::marked_orphan), "orphan");
  EXPECT_EQ(to_string(relation::other), "other");
}

}  // namespace
