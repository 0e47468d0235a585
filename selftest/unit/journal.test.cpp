// SPDX-License-Identifier: BSL-1.0
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/unix_journal.hpp>

#include "../support/journal_file.hpp"
#include "journal_entries.hpp"
#include "swapped_system.hpp"

namespace {

using journal::entry_of;
using journal::JournalFile;
using journal::named;
using journal::seen;
using journal::told;
using tidewait::journal_entry;
using tidewait::journal_event;
using tidewait::observed_socket;

TEST(Journal, ReadsWhatItWrote) {
  const journal_entry wrote = entry_of("Suite/0.Näme\"s");
  const std::string line = to_json_line(wrote);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto read = tidewait::parse_journal_line(std::string_view{line}.substr(0, line.size() - 1));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->test, wrote.test);
  EXPECT_EQ(read->event, tidewait::journal_event::left_behind);
  EXPECT_EQ(read->socket.state, wrote.socket.state);
  EXPECT_EQ(read->socket.local, wrote.socket.local);
  EXPECT_EQ(read->socket.cookie, wrote.socket.cookie);
  EXPECT_EQ(read->net_cookie, wrote.net_cookie);
  EXPECT_EQ(read->pid, wrote.pid);
  EXPECT_EQ(read->run, wrote.run);
  EXPECT_EQ(read->command, wrote.command);
  EXPECT_EQ(read->leased_at, wrote.leased_at);
  EXPECT_EQ(read->time, wrote.time);
}

TEST(Journal, ReadsWhichPortATestHasShared) {
  journal_entry wrote = entry_of("A.b");
  wrote.event = journal_event::shared;
  const std::string line = to_json_line(wrote);
  const auto read = tidewait::parse_journal_line(std::string_view{line}.substr(0, line.size() - 1));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->event, journal_event::shared);
}

TEST(Journal, ReadsWhatItWroteOfAUnixSocket) {
  tidewait::observed_unix socket;
  socket.state = tidewait::socket_state::listen;
  socket.cookie = 18364758544493064720U;
  tidewait::detail::unix_bind_facts facts;
  facts.there = tidewait::detail::unix_bind_facts::file::socket;
  facts.file_device = 7;
  facts.file_inode = 8;
  facts.file_changed = 9;
  const std::string line =
      tidewait::detail::left_unix_line("A.b", socket, "/tmp/a \"b\".sock", facts, true);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const std::string_view whole = std::string_view{line}.substr(0, line.size() - 1);
  const auto read = tidewait::detail::parse_left_unix(whole);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->test, "A.b");
  EXPECT_EQ(read->name, "/tmp/a \"b\".sock");
  EXPECT_EQ(read->file, "7:8:9");
  EXPECT_EQ(read->cookie, socket.cookie);
  EXPECT_TRUE(read->reported);
  EXPECT_FALSE(tidewait::parse_journal_line(whole)) << "which is of TCP and UDP";
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(tidewait::detail::parse_left_unix(whole.substr(0, length)));
  const std::string other = to_json_line(entry_of("A.b"));
  EXPECT_FALSE(tidewait::detail::parse_left_unix(other.substr(0, other.size() - 1)));
}

TEST(Journal, PassesOverWhatIsTornOrNotItsOwn) {
  const std::string line = to_json_line(entry_of("A.b"));
  for (std::size_t length = 0; length + 1 < line.size(); ++length) {
    const std::string torn = line.substr(0, length);
    EXPECT_FALSE(tidewait::parse_journal_line(torn)) << torn;
  }
  EXPECT_FALSE(tidewait::parse_journal_line("{}"));
  EXPECT_FALSE(tidewait::parse_journal_line(R"({"event":"left_behind","local":"nowhere"})"));
}

/// The line of an entry, without its end, with a part of it exchanged.
std::string line_with(const std::string& part, const std::string& instead) {
  std::string line = to_json_line(entry_of("A.b"));
  line.pop_back();
  const auto place = line.find(part);
  EXPECT_NE(place, std::string::npos) << part;
  return line.replace(place, part.size(), instead);
}

TEST(Journal, PassesOverFieldsThatItDoesNotKnow) {
  EXPECT_TRUE(tidewait::parse_journal_line(line_with("\"test\"", "\"later\":\"x\",\"test\"")));
  EXPECT_TRUE(tidewait::parse_journal_line(line_with("\"test\"", "\"later\":7,\"test\"")));
  EXPECT_TRUE(tidewait::parse_journal_line(line_with("\"test\"", "\"later\":true,\"test\"")));
  EXPECT_TRUE(tidewait::parse_journal_line(line_with("\"command\"", "\"as\"")))
      << "it may be missing";
}

TEST(Journal, DoesNotGuessWhatAnotherVersionSays) {
  EXPECT_TRUE(tidewait::parse_journal_line(line_with("", "")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"journal\":1,", "\"journal\":2,")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"journal\":1,", "\"journal\":11,")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"journal\":1,", "")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"left_behind\"", "\"forgotten\"")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"tcp\"", "\"sctp\"")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"LISTEN\"", "\"ASLEEP\"")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("\"cookie\"", "\"crumb\"")));
  EXPECT_FALSE(
      tidewait::parse_journal_line(line_with("18364758544493064720", "18446744073709551616")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("2147483647", "2147483648")));
  EXPECT_FALSE(tidewait::parse_journal_line(line_with("2147483647", "-1")));
}

/// Writes to this test's journal as others might.
void write_raw(const std::string& text, std::ios::openmode mode = std::ios::app) {
  std::ofstream{std::string{tidewait::journal_path()}, mode | std::ios::binary} << text;
}

TEST_F(JournalFile, LosesNoMoreThanTheLineThatIsTorn) {
  const std::string line = to_json_line(entry_of("Torn.by_a_full_disk"));
  // Also the end alone is torn off.
  for (std::size_t length = line.size() % 7 - 1; length < line.size(); length += 7) {
    write_raw(to_json_line(seen("Before.it")) + line.substr(0, length), std::ios::trunc);
    ASSERT_FALSE(tidewait::append_journal({entry_of("After.it")}));
    const std::vector<journal_entry> entries = tidewait::read_journal();
    ASSERT_EQ(entries.size(), length + 1 == line.size() ? 3U : 2U) << length;
    EXPECT_EQ(entries.front().test, "Before.it");
    EXPECT_EQ(entries.back().test, "After.it");
  }
}

TEST_F(JournalFile, ReadsALineThatWasAppendedToATornOne) {
  const std::string line = to_json_line(entry_of(R"(Torn {"journal":1, quoted)"));
  const std::string next = to_json_line(entry_of("After.it"));
  for (std::size_t length = 0; length + 1 < line.size(); length += 7) {
    write_raw(line.substr(0, length) + next, std::ios::trunc);
    const std::vector<journal_entry> entries = tidewait::read_journal();
    ASSERT_EQ(entries.size(), 1U) << length;
    EXPECT_EQ(entries.front().test, "After.it");
  }
}

TEST_F(JournalFile, ReadsTheNewestPartOfAHugeOne) {
  ASSERT_EQ(::truncate(tidewait::journal_path().data(), off_t{20} << 30U), 0);
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks")}));
  EXPECT_EQ(named().test, "First.leaks");
}

TEST_F(JournalFile, ShowsNoMoreThanTheFrontOfAnEndlessName) {
  const std::string endless(std::size_t{1} << 20U, 'x');
  journal_entry entry = entry_of(endless);
  entry.ctest_name = endless + 'y';
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_LT(named().test.size(), 500U);
  write_raw(line_with("\"A.b\"", '"' + endless + '"') + '\n', std::ios::trunc);
  EXPECT_EQ(named().test, std::string(197, 'x') + "...");
}

/// A journal that is not to be trusted: not read, not written, never fatal, and the user is told.
void expect_not_used(const std::string& why) {
  EXPECT_EQ(tidewait::append_journal({entry_of("A.b")}), tidewait::errc::untrusted_file);
  EXPECT_TRUE(tidewait::read_journal().empty());
  EXPECT_EQ(named().test, "");
  const tidewait::detail::opened_file file =
      tidewait::detail::write_journal_lines(std::vector{entry_of("A.b")});
  EXPECT_EQ(file.why, why);
}

TEST_F(JournalFile, ThatIsAPipeKeepsNobodyWaiting) {
  const std::string pipe = testing::TempDir() + "tidewait_pipe_" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const variable journal{tidewait::journal_variable, pipe.c_str()};
  expect_not_used("it is not a regular file");
  ::unlink(pipe.c_str());
}

TEST_F(JournalFile, ThatOthersMayHaveWrittenIsNotBelieved) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("Innocent.test")}));
  ASSERT_EQ(named().test, "Innocent.test");
  const std::string path{tidewait::journal_path()};
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  expect_not_used("other users may write to it");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const std::string link = path + ".link";
  ASSERT_EQ(::symlink(path.c_str(), link.c_str()), 0);
  {
    const variable journal{tidewait::journal_variable, link.c_str()};
    expect_not_used("it is a symbolic link");
  }
  ::unlink(link.c_str());
  ASSERT_EQ(named().test, "Innocent.test");
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  expect_not_used("it belongs to uid 65534");
}

TEST_F(JournalFile, ThatIsNotUsedIsSaidOnce) {
  told();
  const std::string path{tidewait::journal_path()};
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  named();
  tidewait::detail::write_journal(tidewait::detail::shared_state::instance(),
                                  journal_event::left_behind,
                                  {observed_socket{entry_of("").socket}}, "A.b");
  EXPECT_EQ(told(), "the journal " + path +
                        " is not used: other users may write to it; TIDEWAIT_JOURNAL must name a "
                        "regular file to which only this user may write, or one that is not there "
                        "yet");
  named();
  EXPECT_EQ(told(), "");
}

TEST(Journal, WithoutAFileIsSilent) {
  EXPECT_FALSE(tidewait::append_journal({entry_of("A.b")}));
  EXPECT_TRUE(tidewait::read_journal().empty());
}

}  // namespace
