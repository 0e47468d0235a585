// SPDX-License-Identifier: BSL-1.0
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/journal.hpp>

namespace {

using tidewait::journal_entry;

journal_entry entry_of(const std::string& test) {
  journal_entry entry;
  entry.test = test;
  entry.socket.state = tidewait::socket_state::listen;
  entry.socket.local = *tidewait::parse_endpoint("[::1]:20111");
  entry.socket.cookie = 0xfedcba9876543210;
  entry.pid = 4711;
  entry.command = R"(server "quoted" back\slash)";
  entry.leased_at = "echo_test.cpp:12";
  entry.time = 1700000000123;
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
  EXPECT_EQ(read->pid, 4711);
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
  JournalFile() { ::setenv(tidewait::journal_variable, path_.c_str(), 1); }
  ~JournalFile() override {
    ::unsetenv(tidewait::journal_variable);
    ::unlink(path_.c_str());
  }
  std::string path_ = testing::TempDir() + "tidewait_journal_" + std::to_string(::getpid());
};

TEST_F(JournalFile, NamesTheEarlierTestByCookie) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), entry_of("Second.leaks")}));
  std::vector<tidewait::socket_entry> sockets(2);
  sockets[0].cookie = entry_of("").socket.cookie;
  sockets[0].local = entry_of("").socket.local;
  sockets[1].cookie = 5;
  sockets[1].local = entry_of("").socket.local;
  tidewait::detail::name_earlier_tests(sockets);
  EXPECT_EQ(sockets[0].test, "Second.leaks");
  EXPECT_EQ(sockets[1].test, "");
}

TEST_F(JournalFile, NamesTheTestBehindATimeWaitByItsPort) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks")}));
  std::vector<tidewait::socket_entry> sockets(1);
  sockets[0].cookie = 6;
  sockets[0].state = tidewait::socket_state::time_wait;
  sockets[0].local = entry_of("").socket.local;
  tidewait::detail::name_earlier_tests(sockets);
  EXPECT_EQ(sockets[0].test, "First.leaks");
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
