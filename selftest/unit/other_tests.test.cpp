// SPDX-License-Identifier: BSL-1.0
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include <gmock/gmock.h>

#include <tidewait/detail/other_tests.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/journal_file.hpp"
#include "../support/sockets.hpp"
#include "journal_entries.hpp"
#include "swapped_system.hpp"

namespace {

using journal::entry_of;
using journal::JournalFile;
using journal::named;
using journal::named_time_wait;
using journal::seen;
using journal::shortly_before;
using tidewait::journal_entry;
using tidewait::journal_event;
using tidewait::observed_socket;

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
  EXPECT_NE(journal[0].leased_at.find("other_tests.test.cpp:"), std::string::npos);
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

}  // namespace
