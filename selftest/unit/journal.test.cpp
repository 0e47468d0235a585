// SPDX-License-Identifier: BSL-1.0
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include <tidewait/detail/other_tests.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/journal_file.hpp"
#include "../support/sockets.hpp"
#include "swapped_system.hpp"

namespace {

using tidewait::journal_entry;
using tidewait::journal_event;
using tidewait::observed_socket;

journal_entry entry_of(const std::string& test, journal_event event = journal_event::left_behind) {
  journal_entry entry;
  entry.event = event;
  entry.test = test;
  entry.socket.state = tidewait::socket_state::listen;
  entry.socket.local = *tidewait::parse_endpoint("[::1]:20111");
  entry.socket.cookie = 0xfedcba9876543210;
  entry.net_cookie = tidewait::detail::current_net_cookie();
  entry.pid = 0x7fffffff;
  entry.run = "0123456789abcdef";
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

class JournalFile : public testing::Test {
 protected:
  journal_file file_;
};

journal_entry seen(const std::string& test) { return entry_of(test, journal_event::listening); }

observed_socket named(observed_socket socket) {
  using tidewait::detail::sockets_are;
  std::vector<observed_socket> sockets{std::move(socket)};
  tidewait::detail::name_other_tests(tidewait::detail::shared_state::instance(), sockets,
                                     sockets_are::there);
  return sockets.front();
}

/// The socket of `entry_of`, with the name that the journal has for it.
observed_socket named() { return named({entry_of("").socket}); }

/// Three seconds before this process was started.
std::uint64_t shortly_before() { return tidewait::detail::read_test_context().since - 3000; }

/// A TIME_WAIT on the port of `entry_of` that began then, likewise.
observed_socket named_time_wait(std::uint64_t began = shortly_before()) {
  observed_socket socket;
  socket.time_left = std::chrono::milliseconds{60000 + began - tidewait::detail::wall_clock()};
  socket.cookie = 6;
  socket.state = tidewait::socket_state::time_wait;
  socket.owned = tidewait::ownership::kernel;
  socket.local = entry_of("").socket.local;
  return named(socket);
}

TEST_F(JournalFile, NamesTheEarlierTestByCookie) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks"), entry_of("Second.leaks")}));
  EXPECT_EQ(named().test, "First.leaks") << "the second has only found it, as a launcher does";
  EXPECT_TRUE(named().left_behind);
  observed_socket other{entry_of("").socket};
  other.cookie = 5;
  EXPECT_EQ(named(other).test, "");
}

TEST_F(JournalFile, DoesNotTakeTheCookieOfAnotherSocketForThisOne) {
  ASSERT_FALSE(tidewait::append_journal({entry_of("First.leaks")}));
  observed_socket elsewhere{entry_of("").socket};
  elsewhere.local = *tidewait::parse_endpoint("127.0.0.1:20111");
  EXPECT_EQ(named(elsewhere).test, "");
  observed_socket udp{entry_of("").socket};
  udp.protocol = tidewait::protocol::udp;
  EXPECT_EQ(named(udp).test, "");
}

TEST_F(JournalFile, TellsNothingOfBeforeTheMachineWasStarted) {
  journal_entry before = entry_of("First.leaks");
  before.time = tidewait::detail::boot_time() - 60000;
  ASSERT_FALSE(tidewait::append_journal({before}));
  EXPECT_EQ(named().test, "");
}

TEST_F(JournalFile, NamesTheTestThatHasAListenerNow) {
  ASSERT_FALSE(tidewait::append_journal({seen("Other.runs")}));
  EXPECT_EQ(named().test, "Other.runs");
  EXPECT_FALSE(named().left_behind);
}

TEST_F(JournalFile, WhoLeftASocketCountsMoreThanWhoElseSawIt) {
  ASSERT_FALSE(
      tidewait::append_journal({seen("Early.sees"), entry_of("First.leaks"), seen("Late.sees")}));
  EXPECT_EQ(named().test, "First.leaks");
  EXPECT_TRUE(named().left_behind);
}

/// Of a test that had the socket some seconds before this process was started.
journal_entry early(const std::string& test) {
  journal_entry entry = entry_of(test);
  entry.time = shortly_before() - 3000;
  return entry;
}

TEST_F(JournalFile, NamesTheTestBehindATimeWaitByItsPort) {
  ASSERT_FALSE(tidewait::append_journal({early("First.leaks")}));
  EXPECT_EQ(named_time_wait().test, "First.leaks");
  EXPECT_FALSE(named_time_wait().left_behind) << "that is not known";
}

TEST_F(JournalFile, ATimeWaitSinceThisTestBeganMayBeItsOwn) {
  ASSERT_FALSE(tidewait::append_journal({early("First.leaks")}));
  const std::uint64_t began = tidewait::detail::read_test_context().since;
  EXPECT_EQ(named_time_wait(began - 50).test, "First.leaks");
  EXPECT_EQ(named_time_wait(began + 50).test, "");
}

TEST_F(JournalFile, ATimeWaitIsOfWhoeverWasNotedLastBeforeItBegan) {
  journal_entry elsewhere = early("On.another_address");
  elsewhere.socket.local = *tidewait::parse_endpoint("127.0.0.1:20111");
  ASSERT_FALSE(tidewait::append_journal({elsewhere}));
  EXPECT_EQ(named_time_wait().test, "");
  journal_entry long_ago = early("Long.ago");
  long_ago.time -= 1500000;
  ASSERT_FALSE(tidewait::append_journal({long_ago}));
  EXPECT_EQ(named_time_wait().test, "");
  journal_entry everywhere = early("On.every_address");
  everywhere.socket.local = *tidewait::parse_endpoint("[::]:20111");
  ASSERT_FALSE(tidewait::append_journal({everywhere, entry_of("Later.uses")}));
  EXPECT_EQ(named_time_wait().test, "On.every_address");
}

TEST_F(JournalFile, ASocketOfThisProcessTreeIsNoOtherTestsUnlessThatHasLeftIt) {
  observed_socket socket{entry_of("").socket};
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
  std::vector<observed_socket> left{named_time_wait(), observed_socket{entry_of("").socket},
                                    observed_socket{entry_of("").socket}};
  left[2].owned = tidewait::ownership::found;
  left[2].owners.emplace_back();
  tidewait::detail::name_other_tests(tidewait::detail::shared_state::instance(), left,
                                     sockets_are::left);
  EXPECT_EQ(left[1].test, "");
  EXPECT_EQ(left[2].test, "Other.sees");
  journal_entry on_the_port = early("First.leaks");
  on_the_port.socket.cookie = 7;
  ASSERT_FALSE(tidewait::append_journal({on_the_port}));
  left[0].test = "";
  tidewait::detail::name_other_tests(tidewait::detail::shared_state::instance(), left,
                                     sockets_are::left);
  EXPECT_EQ(left[0].test, "");
}

TEST_F(JournalFile, DoesNotNameTheRunningTest) {
  journal_entry entry = seen("This.runs");
  entry.pid = ::getpid();
  entry.run = tidewait::detail::ensure_run_mark();
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

/// Noted by a process that has started this one.
class FromAround : public JournalFile {
 protected:
  static journal_entry by_launcher(journal_entry entry) {
    entry.run = "fedcba9876543210";
    return entry;
  }

 private:
  const variable marks_{tidewait::detail::run_variable,
                        ("fedcba9876543210:" + tidewait::detail::ensure_run_mark()).c_str()};
};

TEST_F(FromAround, ASocketIsTheRunningTestsOwn) {
  ASSERT_FALSE(tidewait::append_journal({by_launcher(seen("a command line"))}));
  EXPECT_EQ(named().test, "");
}

TEST_F(FromAround, SeveralTestsAreNotToldApart) {
  ASSERT_FALSE(tidewait::append_journal({by_launcher(seen("all of them")), seen("Other.runs")}));
  const variable name{tidewait::test_variable, "one of them"};
  EXPECT_EQ(named().test, "Other.runs");
}

TEST_F(FromAround, WhatALookHasFoundInTheMiddleOfTheTestIsItsOwn) {
  journal_entry entry = by_launcher(entry_of("Suite.Test"));
  entry.ctest_name = "net.Suite.Test";
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_EQ(named().test, "net.Suite.Test");
  const variable name{tidewait::test_variable, "net.Suite.Test"};
  EXPECT_EQ(named().test, "");
}

TEST_F(JournalFile, SaysNothingOfAnotherNetworkNamespace) {
  journal_entry elsewhere = entry_of("Isolated.leaks");
  ++elsewhere.net_cookie;
  ASSERT_FALSE(tidewait::append_journal({elsewhere}));
  EXPECT_EQ(named().test, "");
  EXPECT_EQ(named_time_wait().test, "");
}

TEST(OtherTest, IsKnownByTheEnvironmentOfWhoHoldsTheSocket) {
  observed_socket socket{entry_of("").socket};
  socket.owned = tidewait::ownership::found;
  socket.owners.emplace_back();
  socket.owners.back().test = "other.Suite.Test";
  EXPECT_EQ(named(socket).test, "other.Suite.Test");
  EXPECT_FALSE(named(socket).left_behind);
  const variable name{tidewait::test_variable, "other.Suite.Test"};
  EXPECT_EQ(named(socket).test, "") << "it is this one";
}

TEST(OtherTest, IsNotWhatIsAroundThisOne) {
  observed_socket socket{entry_of("").socket};
  socket.owned = tidewait::ownership::found;
  socket.owners.emplace_back();
  socket.owners.back().test = "nightly";
  proc_tree proc;
  proc.link("self", "100");
  proc.process(50, 1, "launcher", {});
  proc.process(100, 50, "test", {});
  EXPECT_EQ(named(socket).test, "nightly");
  using namespace std::string_literals;
  proc.file("50/environ", "A=1\0TIDEWAIT_TEST=nightly\0"s);
  EXPECT_EQ(named(socket).test, "");
}

TEST(OtherTest, BeganBeforeTheOutermostProcessOfThisOne) {
  const variable name{tidewait::test_variable, "this"};
  proc_tree proc;
  using namespace std::string_literals;
  const auto process = [&](int pid, int parent, const std::string& test, int ticks) {
    proc.process(pid, parent, "program", {});
    proc.file(std::to_string(pid) + "/environ", "TIDEWAIT_TEST="s + test + '\0');
    proc.file(std::to_string(pid) + "/stat", proc_tree::stat_text(pid, parent, "a b", ticks));
  };
  proc.link("self", "100");
  process(1, 0, "", 0);
  process(40, 1, "all", 100);
  process(50, 40, "this", 300);
  process(100, 50, "this", 500);
  const auto since = tidewait::detail::read_test_context().since;
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  EXPECT_NEAR(static_cast<double>(since - tidewait::detail::boot_time()),
              300000.0 / static_cast<double>(ticks), 50);
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
  EXPECT_EQ(journal[0].event, journal_event::left_behind);
  EXPECT_EQ(journal[0].test, "First.leaks");
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

TEST_F(JournalFile, KnowsTheRunningTestByANameThatAReportCannotShow) {
  const std::string name = "Reads ::std\a and <CTestMeasurement>";
  journal_entry entry = seen(name);
  entry.pid = ::getpid();
  entry.run = tidewait::detail::ensure_run_mark();
  ASSERT_FALSE(tidewait::append_journal({entry}));
  EXPECT_NE(named().test, "");
  const tidewait::watch running{{}, name};
  EXPECT_EQ(named().test, "");
}

/// What the next look tells the user of the journal.
std::string told() {
  std::string text;
  for (const std::string& each : tidewait::detail::shared_state::instance().told.take_notes())
    text += each;
  return text;
}

/// A journal that is not to be trusted: not read, not written, never fatal, and the user is told.
void expect_not_used(const std::string& why) {
  EXPECT_EQ(tidewait::append_journal({entry_of("A.b")}), tidewait::errc::untrusted_file);
  EXPECT_TRUE(tidewait::read_journal().empty());
  EXPECT_EQ(named().test, "");
  const tidewait::detail::opened_file file =
      tidewait::detail::write_journal_lines({entry_of("A.b")});
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
