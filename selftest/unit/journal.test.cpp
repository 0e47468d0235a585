// SPDX-License-Identifier: BSL-1.0
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/earlier_tests.hpp>
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

/// The socket of `entry_of`, with the name that the journal has for it.
socket_entry named() {
  std::vector<socket_entry> sockets{entry_of("").socket};
  tidewait::detail::name_earlier_tests(sockets);
  return sockets.front();
}

/// A TIME_WAIT on the port of `entry_of`, likewise.
socket_entry named_time_wait() {
  std::vector<socket_entry> sockets(1);
  sockets[0].cookie = 6;
  sockets[0].state = tidewait::socket_state::time_wait;
  sockets[0].local = entry_of("").socket.local;
  tidewait::detail::name_earlier_tests(sockets);
  return sockets.front();
}

TEST_F(JournalFile, NamesTheEarlierTestByCookie) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), entry_of("Second.leaks")}));
  EXPECT_EQ(named().test, "Second.leaks");
  EXPECT_TRUE(named().left);
  std::vector<socket_entry> others{entry_of("").socket};
  others[0].cookie = 5;
  tidewait::detail::name_earlier_tests(others);
  EXPECT_EQ(others[0].test, "");
}

TEST_F(JournalFile, NamesTheTestThatHasAListenerNow) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("Other.runs", journal_event::listening)}));
  EXPECT_EQ(named().test, "Other.runs");
  EXPECT_FALSE(named().left);
}

TEST_F(JournalFile, WhoLeftASocketCountsMoreThanWhoElseSawIt) {
  const auto seen = [](const char* test) { return entry_of(test, journal_event::listening); };
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
  long_ago.time -= 31U * 60 * 1000;
  ASSERT_FALSE(tidewait::append_journal({long_ago}));
  EXPECT_EQ(named_time_wait().test, "");
  const tidewait::watch running{{}, "This.runs"};
  ASSERT_FALSE(tidewait::append_journal(
      {entry_of("First.leaks"), entry_of("This.runs", journal_event::listening)}));
  EXPECT_EQ(named_time_wait().test, "") << "it may be the running test's own";
}

TEST_F(JournalFile, DoesNotNameTheRunningTest) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("This.runs", journal_event::listening)}));
  EXPECT_EQ(named().test, "This.runs");
  {
    const tidewait::watch outer{{}, "This.runs"};
    const tidewait::watch inner{{}, "A part of it"};
    EXPECT_EQ(named().test, "");
  }
  EXPECT_EQ(named().test, "This.runs");
  ::setenv(tidewait::test_variable, "This.runs", 1);
  EXPECT_EQ(named().test, "");
  ::unsetenv(tidewait::test_variable);
}

TEST_F(JournalFile, DoesNotNameTheRunningTestByTheNameThatItsLauncherHasForIt) {
  journal_entry entry = entry_of("ctest's name", journal_event::listening);
  entry.pid = ::getppid();
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_EQ(named().test, "");
}

TEST_F(JournalFile, SaysNothingOfAnotherNetworkNamespace) {
  journal_entry elsewhere = entry_of("Isolated.leaks");
  ++elsewhere.net_cookie;
  ASSERT_FALSE(tidewait::append_journal({elsewhere}));
  EXPECT_EQ(named().test, "");
  EXPECT_EQ(named_time_wait().test, "");
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
