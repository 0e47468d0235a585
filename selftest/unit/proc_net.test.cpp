// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/inet_diag.hpp>
#include <tidewait/detail/linux/proc_net.hpp>

#include "../support/in_words.hpp"
#include "recorded.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::protocol;
using tidewait::socket_entry;
using tidewait::socket_state;
using tidewait::detail::parse_proc_endpoint;
using tidewait::detail::parse_proc_net;
using tidewait::detail::parse_proc_net_line;
using tidewait::detail::parse_sockstat;
using tidewait::detail::take_line;
using tidewait::detail::take_word;

struct file {
  std::vector<socket_entry> sockets;
  std::size_t unread = 0;
};

file read(std::string_view text, protocol which = protocol::tcp) {
  file got;
  parse_proc_net(text, which, got.sockets, got.unread, [](const socket_entry&) { return true; });
  return got;
}

constexpr const char* listener =
    "   0: 0100007F:4E21 00000000:0000 0A 00000005:00000001 00:00000000 00000000  1000        0 "
    "243722 2 00000000312fd67c 100 0 0 10 0";

TEST(ProcNet, ReadsRecordedTcp) {
  const file v4 = read(recorded("tcp.proc"));
  EXPECT_EQ(v4.unread, 0U);
  EXPECT_THAT(in_words(v4.sockets),
              ElementsAre("LISTEN 127.0.0.1:20001 0.0.0.0:* inode 243722 to read 1",
                          "ESTABLISHED 127.0.0.1:40004 127.0.0.1:20003 inode 243382",
                          "ESTABLISHED 127.0.0.1:20001 127.0.0.1:40003",
                          "ESTABLISHED 127.0.0.1:20001 127.0.0.1:40001 inode 243375 to read 6",
                          "TIME_WAIT 127.0.0.1:20001 127.0.0.1:40002 59940 ms",
                          "ESTABLISHED 127.0.0.1:40001 127.0.0.1:20001 inode 243374",
                          "ESTABLISHED 127.0.0.1:40003 127.0.0.1:20001 inode 243378"));
  const file v6 = read(recorded("tcp6.proc"));
  EXPECT_EQ(v6.unread, 0U);
  EXPECT_THAT(in_words(v6.sockets),
              ElementsAre("LISTEN [::1]:20004 [::]:* inode 243381",
                          "LISTEN [::]:20003 [::]:* inode 243380 to read 1",
                          "ESTABLISHED [::ffff:127.0.0.1]:20003 [::ffff:127.0.0.1]:40004"));
}

TEST(ProcNet, ReadsRecordedUdp) {
  EXPECT_THAT(in_words(read(recorded("udp.proc"), protocol::udp).sockets),
              ElementsAre("UNCONN 127.0.0.1:20006 0.0.0.0:* inode 243384",
                          "ESTABLISHED 127.0.0.1:40005 127.0.0.1:20006 inode 243385"));
  EXPECT_THAT(in_words(read(recorded("udp6.proc"), protocol::udp).sockets),
              ElementsAre("UNCONN [::]:20007 [::]:* inode 243386"));
}

TEST(ProcNet, ReadsEveryFieldOfALine) {
  const auto entry = parse_proc_net_line(listener, protocol::tcp);
  ASSERT_TRUE(entry);
  EXPECT_EQ(in_words(*entry),
            "LISTEN 127.0.0.1:20001 0.0.0.0:* uid 1000 inode 243722 to read 1 to send 5");
  EXPECT_EQ(entry->cookie, 0U);
  EXPECT_EQ(entry->v6only, std::nullopt);
}

TEST(ProcNet, KeepsWhatIsWanted) {
  std::vector<socket_entry> sockets;
  std::size_t unread = 0;
  parse_proc_net(recorded("tcp.proc"), protocol::tcp, sockets, unread,
                 [](const socket_entry& entry) { return entry.state == socket_state::listen; });
  EXPECT_EQ(sockets.size(), 1U);
  EXPECT_EQ(unread, 0U);
}

TEST(ProcNet, CountsTheLinesThatItCannotRead) {
  const std::string heading = "  sl  local_address\n";
  EXPECT_EQ(read("").unread, 0U);
  EXPECT_EQ(read(heading + "\n   \n").unread, 0U);
  const file got = read(heading + "garbage\n" + listener + "\n\xff\xfe\n" + listener);
  EXPECT_EQ(got.sockets.size(), 2U);
  EXPECT_EQ(got.unread, 2U);
}

TEST(ProcNet, DoesNotTakeABrokenLineForASocket) {
  const std::string line = listener;
  const auto with = [&](const char* good, const char* bad) {
    const auto at = line.find(good);
    EXPECT_NE(at, std::string::npos) << good;
    std::string broken = line;
    broken.replace(at, std::string{good}.size(), bad);
    return parse_proc_net_line(broken, protocol::tcp).has_value();
  };
  EXPECT_TRUE(with("0:", "12345:"));
  EXPECT_FALSE(with("0:", "0 "));
  EXPECT_FALSE(with("0100007F:4E21", "0100007:4E21"));
  EXPECT_FALSE(with("0100007F:4E21", "0100007F:14E21"));
  EXPECT_FALSE(with("0100007F:4E21", "0100007F4E21"));
  EXPECT_FALSE(with("0100007F:4E21", "0100007G:4E21"));
  EXPECT_FALSE(with("00000000:0000", "00000000:"));
  EXPECT_FALSE(with(" 0A ", " 00 "));
  EXPECT_FALSE(with(" 0A ", " 0D "));
  EXPECT_FALSE(with(" 0A ", " 1A "));
  EXPECT_FALSE(with(" 0A ", " x "));
  EXPECT_TRUE(with(" 0A ", " 0C "));  // TCP_NEW_SYN_RECV
  EXPECT_FALSE(with("00000005:00000001", "00000005"));
  EXPECT_FALSE(with("00000005:00000001", "00000005:x"));
  EXPECT_FALSE(with("00:00000000", "00"));
  EXPECT_FALSE(with("00:00000000", "100:00000000"));
  EXPECT_FALSE(with(" 1000 ", " -1 "));
  EXPECT_FALSE(with(" 1000 ", " 10x0 "));
  EXPECT_FALSE(with("243722", "4294967296"));
  EXPECT_FALSE(with("243722", "24372x"));
}

TEST(ProcNet, DoesNotTakeTheFrontOfALineForALine) {
  const std::string line = listener;
  const std::size_t end_of_inode = line.find("243722") + 6;
  for (std::size_t size = 0; size < line.find("243722") + 1; ++size) {
    EXPECT_FALSE(parse_proc_net_line(line.substr(0, size), protocol::tcp)) << size;
  }
  for (std::size_t size = end_of_inode; size <= line.size(); ++size) {
    EXPECT_TRUE(parse_proc_net_line(line.substr(0, size), protocol::tcp)) << size;
  }
}

TEST(ProcNet, ReadsAddressesInTheMachinesByteOrder) {
  const auto text = [](const char* raw) {
    const auto parsed = parse_proc_endpoint(raw);
    return parsed ? to_string(*parsed) : "none";
  };
  EXPECT_EQ(text("0100007F:1F90"), "127.0.0.1:8080");
  EXPECT_EQ(text("B80D0120000000000000000001000000:0050"), "[2001:db8::1]:80");
  for (const char* raw : {"", ":", "0100007F:", ":0050", "0100007F:00050x", "0100007F:10000",
                          "0100007F0:0050", "B80D012000000000000000000100000:0050"}) {
    EXPECT_EQ(text(raw), "none") << raw;
  }
}

TEST(ProcNet, CountsTimeWaits) {
  EXPECT_EQ(parse_sockstat("sockets: used 17\nTCP: inuse 6 orphan 0 tw 12 alloc 12\n", "tw"), 12U);
  EXPECT_EQ(parse_sockstat("TCP: tw 0", "tw"), 0U);
  for (const char* text : {"", "TCP:", "TCP: tw", "TCP: inuse tw 1", "UDP: tw 1", "TCP: tw x",
                           "TCP: tw 4294967296", "TCP: tw 1x"}) {
    EXPECT_EQ(parse_sockstat(text, "tw"), std::nullopt) << text;
  }
}

TEST(ProcNet, TakesLinesAndWords) {
  std::string_view text = "one \t two\n\nthree";
  std::string_view line = take_line(text);
  EXPECT_EQ(take_word(line), "one");
  EXPECT_EQ(take_word(line), "two");
  EXPECT_EQ(take_word(line), "");
  EXPECT_EQ(take_line(text), "");
  EXPECT_EQ(take_line(text), "three");
  EXPECT_THAT(text, IsEmpty());
}

}  // namespace
