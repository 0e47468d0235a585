// SPDX-License-Identifier: BSL-1.0
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/shared_state.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "../support/journal_file.hpp"
#include "../support/sockets.hpp"

namespace {

using tidewait::detail::json_fields;
using tidewait::detail::shared_state;

/// The lines of the journal, each as "event test".
class TestJournal : public testing::Test {
 protected:
  static std::vector<json_fields> lines() {
    std::ifstream file{std::string{tidewait::journal_path()}};
    std::vector<json_fields> all;
    for (std::string line; std::getline(file, line);)
      all.push_back(tidewait::detail::parse_json_line(line));
    return all;
  }
  static std::vector<json_fields> flushed() {
    EXPECT_FALSE(shared_state::instance().journal.flush().error);
    return lines();
  }
  static std::vector<std::string> events() {
    std::vector<std::string> all;
    for (const json_fields& each : flushed())
      all.push_back(std::string{*each.find("event")} + ' ' + std::string{*each.find("test")});
    return all;
  }

 private:
  journal_file file_;
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TestJournal, HasBeginAndEndOfATest) {
  const std::uint64_t before = tidewait::detail::uptime();
  { const tidewait::watch over{{}, "Suite.Näme \"quoted\""}; }
  const std::vector<json_fields> both = flushed();
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].find("event"), "test_begin");
  EXPECT_EQ(both[1].find("event"), "test_end");
  for (const json_fields& each : both) {
    EXPECT_EQ(each.number("journal"), 1U);
    EXPECT_EQ(each.find("test"), "Suite.Näme \"quoted\"");
    EXPECT_EQ(each.number("pid"), static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(each.find("run"), tidewait::detail::ensure_run_mark());
    EXPECT_EQ(each.find("program"), "selftest_unit");
    EXPECT_EQ(each.find("host"), tidewait::detail::host_name());
    EXPECT_EQ(each.find("boot"), tidewait::detail::boot_id());
    EXPECT_GE(each.number("uptime"), before);
  }
  EXPECT_FALSE(both[1].find("outcome")) << "tidewait does not know how the test ended";
}

TEST_F(TestJournal, HasThemOnceHoweverManyWatchesThereAre) {
  {
    const tidewait::watch program{{}, "the test program"};
    const tidewait::watch listener{{}, "Suite.Test"};
    const tidewait::watch fixture{{}, "Suite.Test"};
  }
  EXPECT_THAT(events(), ElementsAre("test_begin the test program", "test_begin Suite.Test",
                                    "test_end Suite.Test", "test_end the test program"));
}

TEST_F(TestJournal, KeepsTheLinesOfATestThatOpensNothingForLater) {
  { const tidewait::watch over{{}, "First"}; }
  EXPECT_THAT(lines(), IsEmpty());
  {
    const tidewait::watch over{{}, "Second"};
    const auto server = sockets::listening(0);
    const tidewait::watch inner{{}, "Inner"};  // notes the listener
    EXPECT_EQ(lines().size(), 4U) << "what is there comes first";
  }
  for (int i = 0; i < 200 && lines().size() < 5; ++i) const tidewait::watch another{{}, "Another"};
  EXPECT_GT(lines().size(), 4U) << "it does not grow without bounds";
  EXPECT_LT(lines().size(), 400U);
}

TEST_F(TestJournal, SaysThatTheLookFailedTheTest) {
  {
    const auto port = tidewait::lease_port();
    tidewait::watch over{{}, "Leaks"};
    const auto server = sockets::listening(port.number());
    EXPECT_FALSE(over.look().clean());
  }
  const std::vector<json_fields> all = flushed();
  EXPECT_EQ(all.back().find("event"), "test_end");
  EXPECT_EQ(all.back().find("outcome"), "failed");
}

TEST_F(TestJournal, HasLeases) {
  {
    const tidewait::watch over{{}, "Leases"};
    const auto port = tidewait::lease_port(tidewait::protocol_set::tcp_and_udp);
    const std::vector<json_fields> all = flushed();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[1].find("event"), "leased");
    EXPECT_EQ(all[1].find("protocol"), "tcp");
    EXPECT_EQ(all[2].find("protocol"), "udp");
    EXPECT_EQ(all[2].number("port"), port.number());
    EXPECT_EQ(all[2].find("place").value_or("").substr(0, 22), "test_journal.test.cpp:");
    EXPECT_EQ(all[2].find("test"), "Leases");
  }
}

TEST_F(TestJournal, AChildOfForkWritesNothingOfItsParents) {
  {
    const tidewait::watch over{{}, "Parent"};
    const int child = ::fork();
    if (child == 0) {
      shared_state::instance().journal.flush();
      ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_THAT(lines(), IsEmpty());
  }
  EXPECT_THAT(events(), ElementsAre("test_begin Parent", "test_end Parent"));
}

TEST_F(TestJournal, AnotherJournalGetsNothingOfTheFirst) {
  { const tidewait::watch over{{}, "First"}; }
  {
    const journal_file second;
    { const tidewait::watch over{{}, "Second"}; }
    EXPECT_THAT(events(), ElementsAre("test_begin Second", "test_end Second"));
  }
  EXPECT_THAT(events(), ElementsAre("test_begin First", "test_end First"));
}

TEST_F(TestJournal, ThatIsLongIsPutAsideAndTheNewestKept) {
  const std::string path{tidewait::journal_path()};
  const auto append = [&](const std::string& text) {
    EXPECT_FALSE(tidewait::detail::append_own_file(path.c_str(), text, 10).error);
  };
  const auto read = [](const std::string& name) {
    std::ifstream file{name};
    return std::string{std::istreambuf_iterator<char>{file}, {}};
  };
  append("first line\n");
  append("second line\n");
  EXPECT_EQ(read(path), "second line\n");
  EXPECT_EQ(read(path + ".1"), "first line\n");
  append("third line\n");
  EXPECT_EQ(read(path), "third line\n");
  EXPECT_EQ(read(path + ".1"), "second line\n");
  ::unlink((path + ".1").c_str());
}

TEST(TestJournalWithoutAFile, IsSilent) {
  const variable none{tidewait::journal_variable, nullptr};
  { const tidewait::watch over{{}, "First"}; }
  const journal_file file;
  EXPECT_FALSE(shared_state::instance().journal.flush().error);
  std::ifstream written{std::string{tidewait::journal_path()}};
  EXPECT_EQ(written.peek(), std::ifstream::traits_type::eof());
}

}  // namespace
