// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include <tidewait/bind_journal.hpp>

#include "../support/journal_file.hpp"

namespace {

using tidewait::bind_entry;

bind_entry failed_bind() {
  bind_entry entry;
  entry.test = "Suite/0.Näme\"s";
  entry.ctest_name = "net.Suite";
  entry.protocol = tidewait::protocol::udp;
  entry.asked = tidewait::parse_endpoint("[::1]:20111");
  entry.reuse_address = true;
  entry.reuse_port = true;
  entry.ipv6_only = tidewait::ipv6_only::yes;
  entry.error = 98;
  entry.inferred = true;
  entry.held_by = "pid 799 redis-server (test CacheTest.Evicts, running now)";
  entry.cookie = 0xfedcba9876543210;
  entry.net_cookie = 4026531840;
  entry.pid = 0x7fffffff;
  entry.run = "0123456789abcdef";
  entry.command = R"(a "server")";
  entry.place = "echo_server.cpp:12";
  entry.stack = "/b/net_tests+0x1234 < +0x20";
  entry.time = 1764000000000;
  entry.count = 3;
  return entry;
}

bind_entry kernel_chosen() {
  bind_entry entry;
  entry.test = "A.b";
  entry.asked = tidewait::parse_endpoint("127.0.0.1:0");
  entry.got = tidewait::parse_endpoint("127.0.0.1:40001");
  entry.kernel_chose_port = true;
  entry.listening = true;
  entry.pid = 7;
  return entry;
}

std::string line_of(const bind_entry& entry) {
  std::string line = to_json_line(entry);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  line.pop_back();
  return line;
}

TEST(BindJournal, ReadsWhatItWrote) {
  for (const bind_entry& wrote : {failed_bind(), kernel_chosen(), bind_entry{}}) {
    const auto read = tidewait::parse_bind_line(line_of(wrote));
    ASSERT_TRUE(read) << line_of(wrote);
    EXPECT_EQ(line_of(*read), line_of(wrote));
    EXPECT_EQ(read->asked, wrote.asked);
    EXPECT_EQ(read->got, wrote.got);
    EXPECT_EQ(read->cookie, wrote.cookie);
  }
  EXPECT_THAT(line_of(kernel_chosen()), testing::HasSubstr(R"("event":"bound")"));
  EXPECT_THAT(line_of(kernel_chosen()), testing::HasSubstr(R"("asked":"127.0.0.1:0")"));
  EXPECT_THAT(line_of(failed_bind()), testing::HasSubstr(R"("event":"bind_failed")"));
}

TEST(BindJournal, PassesOverWhatIsTornOrNotItsOwn) {
  const std::string line = line_of(failed_bind());
  for (std::size_t length = 0; length < line.size(); ++length) {
    EXPECT_FALSE(tidewait::parse_bind_line(line.substr(0, length))) << length;
  }
  const auto with = [&](const std::string& part, const std::string& instead) {
    std::string changed = line;
    const auto at = changed.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return tidewait::parse_bind_line(changed.replace(at, part.size(), instead));
  };
  EXPECT_TRUE(with("\"test\"", "\"later\":7,\"test\""));
  EXPECT_FALSE(with("\"journal\":1,", "\"journal\":2,"));
  EXPECT_FALSE(with("bind_failed", "bound")) << "one that succeeded has no error";
  EXPECT_FALSE(with("\"error\":98", "\"error\":0"));
  EXPECT_FALSE(with("\"error\":98", "\"error\":-1"));
  EXPECT_FALSE(with("[::1]:20111", "nowhere"));
  EXPECT_FALSE(with("\"count\":3", "\"count\":0"));
  EXPECT_FALSE(with("2147483647", "2147483648"));
}

TEST(BindJournal, SharesTheFileWithWhatIsNotedOfSockets) {
  const journal_file file;
  tidewait::journal_entry socket;
  socket.test = "A.b";
  socket.socket.state = tidewait::socket_state::listen;
  socket.socket.local = *tidewait::parse_endpoint("127.0.0.1:20111");
  ASSERT_FALSE(tidewait::append_journal({socket}));
  ASSERT_FALSE(tidewait::append_journal({failed_bind(), kernel_chosen()}));
  ASSERT_FALSE(tidewait::append_journal({socket}));

  EXPECT_EQ(tidewait::read_journal().size(), 2U);
  const auto binds = tidewait::read_bind_journal();
  ASSERT_EQ(binds.size(), 2U);
  EXPECT_EQ(binds[0].held_by, failed_bind().held_by);
  EXPECT_EQ(binds[1].got, kernel_chosen().got);
}

}  // namespace
