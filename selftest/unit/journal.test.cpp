// SPDX-License-Identifier: BSL-1.0
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include <tidewait/other_tests.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/journal_file.hpp"
#include "../support/sockets.hpp"

namespace {

using tidewait::journal_entry;
using tidewait::journal_event;
using tidewait::socket_entry;

journal_entry entry_of(const std::string& test, journal_event event = journal_event::left) {
  journal_entry entry;
  entry.event = event;
  entry.test = test;
  entry.socket.state = tidewait::socket_state::listen;
  entry.socket.local = *tidewait::parse_endpoint("[::1]:20111");
  entry.socket.cookie = 0xfedcba9876543210;
  entry.net_cookie = tidewait::detail::current_net_cookie();
  entry.pid = 0x7fffffff;
  entry.command = R"(server "quoted" back\slash)";
  entry.leased_at = "echo_test.cpp:12";
  entry.time = tidewait::detail::wall_clock();
  return entry;
}

TEST(Journal, ReadsWhatItWrote) {
  const journal_entry wrote = entry_of("Suite/0.Näme\"s");
  const std::string line = to_json_line(wrote);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto read = tidewait::parse_journal_line(std::string_view{line}.substr(0, line.size() - 1));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->test, wrote.test);
  EXPECT_EQ(read->event, tidewait::journal_event::left);
  EXPECT_EQ(read->socket.state, wrote.socket.state);
  EXPECT_EQ(read->socket.local, wrote.socket.local);
  EXPECT_EQ(read->socket.cookie, wrote.socket.cookie);
  EXPECT_EQ(read->net_cookie, wrote.net_cookie);
  EXPECT_EQ(read->pid, wrote.pid);
  EXPECT_EQ(read->command, wrote.command);
  EXPECT_EQ(read->leased_at, wrote.leased_at);
  EXPECT_EQ(read->time, wrote.time);
}

TEST(Journal, PassesOverWhatIsTornOrNotItsOwn) {
  const std::string line = to_json_line(entry_of("A.b"));
  for (std::size_t length = 0; length + 1 < line.size(); ++length) {
    const std::string torn = line.substr(0, length);
    EXPECT_FALSE(tidewait::parse_journal_line(torn)) << torn;
  }
  EXPECT_FALSE(tidewait::parse_journal_line("{}"));
  EXPECT_FALSE(tidewait::parse_journal_line(R"({"event":"left","local":"nowhere"})"));
}

class JournalFile : public testing::Test {
 protected:
  const journal_file file_;
};

journal_entry seen(const std::string& test) { return entry_of(test, journal_event::listening); }

socket_entry named(socket_entry socket) {
  using tidewait::detail::sockets_are;
  std::vector<socket_entry> sockets{std::move(socket)};
  tidewait::detail::name_other_tests(sockets, sockets_are::there);
  return sockets.front();
}

/// The socket of `entry_of`, with the name that the journal has for it.
socket_entry named() { return named(entry_of("").socket); }

/// A TIME_WAIT on the port of `entry_of`, likewise.
socket_entry named_time_wait() {
  socket_entry socket;
  socket.cookie = 6;
  socket.state = tidewait::socket_state::time_wait;
  socket.owned = tidewait::ownership::kernel;
  socket.local = entry_of("").socket.local;
  return named(socket);
}

TEST_F(JournalFile, NamesTheEarlierTestByCookie) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), entry_of("Second.leaks")}));
  EXPECT_EQ(named().test, "First.leaks") << "the second has only found it, as a launcher does";
  EXPECT_TRUE(named().left);
  socket_entry other = entry_of("").socket;
  other.cookie = 5;
  EXPECT_EQ(named(other).test, "");
}

TEST_F(JournalFile, DoesNotTakeTheCookieOfAnotherSocketForThisOne) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks")}));
  socket_entry elsewhere = entry_of("").socket;
  elsewhere.local = *tidewait::parse_endpoint("127.0.0.1:20111");
  EXPECT_EQ(named(elsewhere).test, "");
  socket_entry udp = entry_of("").socket;
  udp.protocol = tidewait::protocol::udp;
  EXPECT_EQ(named(udp).test, "");
}

TEST_F(JournalFile, TellsNothingOfBeforeTheMachineWasStarted) {
  journal_entry before = entry_of("First.leaks");
  before.time = tidewait::detail::boot_time() - 1;
  ASSERT_FALSE(tidewait::append_journal({before}));
  EXPECT_EQ(named().test, "");
}

TEST_F(JournalFile, NamesTheTestThatHasAListenerNow) {
  ASSERT_FALSE(tidewait::append_journal({seen("Other.runs")}));
  EXPECT_EQ(named().test, "Other.runs");
  EXPECT_FALSE(named().left);
}

TEST_F(JournalFile, WhoLeftASocketCountsMoreThanWhoElseSawIt) {
  ASSERT_FALSE(
      tidewait::append_journal({seen("Early.sees"), entry_of("First.leaks"), seen("Late.sees")}));
  EXPECT_EQ(named().test, "First.leaks");
  EXPECT_TRUE(named().left);
}

TEST_F(JournalFile, NamesTheTestBehindATimeWaitByItsPort) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks")}));
  EXPECT_EQ(named_time_wait().test, "First.leaks");
}

TEST_F(JournalFile, ATimeWaitMayBeOfWhoeverUsedThePortLast) {
  journal_entry long_ago = entry_of("Long.ago");
  long_ago.time -= 1860000;
  ASSERT_FALSE(tidewait::append_journal({long_ago}));
  EXPECT_EQ(named_time_wait().test, "");
  journal_entry here = seen("An earlier one of this process");
  here.pid = ::getpid();
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), here}));
  EXPECT_EQ(named_time_wait().test, "") << "it may be the running test's own";
}

TEST_F(JournalFile, ASocketOfThisProcessTreeIsNoOtherTestsUnlessThatHasLeftIt) {
  socket_entry socket = entry_of("").socket;
  socket.owned = tidewait::ownership::found;
  socket.owners.emplace_back();
  socket.owners.back().relation = tidewait::relation::descendant;
  ASSERT_FALSE(tidewait::append_journal({seen("Other.sees")}));
  EXPECT_EQ(named(socket).test, "");
  ASSERT_FALSE(tidewait::append_journal({entry_of("Other.leaks")}));
  EXPECT_EQ(named(socket).test, "Other.leaks");
}

TEST_F(JournalFile, WhatALookFindsIsNoOtherTestsUnlessSomebodyElseHoldsIt) {
  using tidewait::detail::sockets_are;
  ASSERT_FALSE(tidewait::append_journal({seen("Other.sees")}));
  std::vector<socket_entry> left{named_time_wait(), entry_of("").socket, entry_of("").socket};
  left[2].owned = tidewait::ownership::found;
  left[2].owners.emplace_back();
  tidewait::detail::name_other_tests(left, sockets_are::left);
  EXPECT_EQ(left[1].test, "");
  EXPECT_EQ(left[2].test, "Other.sees");
  journal_entry on_the_port = entry_of("First.leaks");
  on_the_port.socket.cookie = 7;
  ASSERT_FALSE(tidewait::append_journal({on_the_port}));
  left[0].test = "";
  tidewait::detail::name_other_tests(left, sockets_are::left);
  EXPECT_EQ(left[0].test, "");
}

TEST_F(JournalFile, DoesNotNameTheRunningTest) {
  journal_entry entry = seen("This.runs");
  entry.pid = ::getpid();
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_EQ(named().test, "This.runs");
  {
    const tidewait::watch outer{{}, "This.runs"};
    const tidewait::watch inner{{}, "A part of it"};
    EXPECT_EQ(named().test, "");
  }
  EXPECT_EQ(named().test, "This.runs");
  const variable name{tidewait::test_variable, "This.runs"};
  EXPECT_EQ(named().test, "");
}

TEST_F(JournalFile, KnowsTheRunningTestByCTestsName) {
  journal_entry entry = seen("Suite.Test");
  entry.ctest_name = "second.Suite.Test";
  ASSERT_FALSE(tidewait::append_journal({entry}));
  const tidewait::watch running{{}, "Suite.Test"};
  {
    const variable name{tidewait::test_variable, "second.Suite.Test"};
    EXPECT_EQ(named().test, "");
  }
  const variable name{tidewait::test_variable, "first.Suite.Test"};
  EXPECT_EQ(named().test, "second.Suite.Test") << "the same program, run twice";
}

TEST_F(JournalFile, HasBothNamesWhereOneDoesNotSayAll) {
  journal_entry entry = seen("the test program");
  entry.ctest_name = "smoke";
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_EQ(named().test, "the test program (smoke)");
}

TEST_F(JournalFile, DoesNotNameTheRunningTestAsItsLauncherHasSeenIt) {
  journal_entry entry = seen("a command line");
  entry.pid = ::getppid();
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), entry}));
  EXPECT_EQ(named_time_wait().test, "");
}

TEST_F(JournalFile, PassesOverWhatALauncherAroundSeveralTestsHasSeen) {
  journal_entry entry = seen("all of them");
  entry.pid = ::getppid();
  ASSERT_FALSE(tidewait::append_journal({seen("Other.runs"), entry}));
  const variable name{tidewait::test_variable, "one of them"};
  EXPECT_EQ(named().test, "Other.runs");
  EXPECT_EQ(named_time_wait().test, "Other.runs");
}

TEST_F(JournalFile, SaysNothingOfAnotherNetworkNamespace) {
  journal_entry elsewhere = entry_of("Isolated.leaks");
  ++elsewhere.net_cookie;
  ASSERT_FALSE(tidewait::append_journal({elsewhere}));
  EXPECT_EQ(named().test, "");
  EXPECT_EQ(named_time_wait().test, "");
}

TEST(OtherTest, IsKnownByTheEnvironmentOfWhoHoldsTheSocket) {
  socket_entry socket = entry_of("").socket;
  socket.owned = tidewait::ownership::found;
  socket.owners.emplace_back();
  socket.owners.back().test = "other.Suite.Test";
  EXPECT_EQ(named(socket).test, "other.Suite.Test");
  EXPECT_FALSE(named(socket).left);
  const variable name{tidewait::test_variable, "other.Suite.Test"};
  EXPECT_EQ(named(socket).test, "") << "it is this one";
}

TEST_F(JournalFile, HasWhatListenedAlreadyWhenATestBegan) {
  const tidewait::port_lease port = tidewait::lease_port();
  const auto server = sockets::listening(port.number());
  const tidewait::watch first{{}, "First.has"};
  const tidewait::watch second{{}, "Second.has"};
  const std::vector<journal_entry> journal = tidewait::read_journal();
  ASSERT_EQ(journal.size(), 1U) << "it is noted once";
  EXPECT_EQ(journal[0].event, journal_event::listening);
  EXPECT_EQ(journal[0].test, "First.has");
  EXPECT_EQ(journal[0].socket.local.port, port.number());
  EXPECT_EQ(journal[0].pid, ::getpid());
  EXPECT_NE(journal[0].leased_at.find("journal.test.cpp:"), std::string::npos);
}

TEST_F(JournalFile, NotesWhatWasThereBeforeATestUnderTheNameOfWhatIsAroundIt) {
  const tidewait::watch suite{{}, "suite Echo"};
  const tidewait::port_lease port = tidewait::lease_port();
  const auto server = sockets::listening(port.number());
  const tidewait::watch test{{}, "Echo.replies"};
  const std::vector<journal_entry> journal = tidewait::read_journal();
  ASSERT_EQ(journal.size(), 1U);
  EXPECT_EQ(journal[0].test, "suite Echo");
}

TEST_F(JournalFile, HasNothingOfWhatMayBeATestsOnAnotherThread) {
  const tidewait::watch first{{}, "First.on_this_thread"};
  const tidewait::port_lease port = tidewait::lease_port();
  const auto server = sockets::listening(port.number());
  std::thread{[] { const tidewait::watch second{{}, "Second.on_another_thread"}; }}.join();
  EXPECT_THAT(tidewait::read_journal(), testing::IsEmpty());
}

TEST_F(JournalFile, SaysOfWhatWasLeftThatItWasLeftThoughALaterTestSeesIt) {
  const tidewait::port_lease port = tidewait::lease_port();
  std::vector<tidewait::detail::unique_fd> servers;
  {
    tidewait::watch first{{}, "First.leaks"};
    servers.push_back(sockets::listening(port.number()));
    EXPECT_FALSE(first.look().clean());
  }
  const tidewait::watch second{{}, "Second.sees"};
  const std::vector<journal_entry> journal = tidewait::read_journal();
  ASSERT_EQ(journal.size(), 1U);
  EXPECT_EQ(journal[0].event, journal_event::left);
  EXPECT_EQ(journal[0].test, "First.leaks");
}

TEST_F(JournalFile, ThatIsFullIsAnError) {
  ::setenv(tidewait::journal_variable, "/dev/full", 1);
  EXPECT_EQ(tidewait::append_journal({entry_of("A.b")}), std::errc::no_space_on_device);
}

TEST(Journal, WithoutAFileIsSilent) {
  EXPECT_FALSE(tidewait::append_journal({entry_of("A.b")}));
  EXPECT_TRUE(tidewait::read_journal().empty());
}

}  // namespace
