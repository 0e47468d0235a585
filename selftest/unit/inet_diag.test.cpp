// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/inet_diag.hpp>

#include "../support/in_words.hpp"
#include "recorded.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::protocol;
using tidewait::socket_entry;
using tidewait::socket_state;
using tidewait::detail::dump_progress;
using tidewait::detail::parse_dump;
using tidewait::detail::port_filter;
using step = dump_progress::step;

struct answer {
  dump_progress progress;
  std::vector<socket_entry> sockets;
};

answer read(std::string_view bytes, protocol which = protocol::tcp, std::uint32_t sequence = 1) {
  answer got;
  got.progress = parse_dump(bytes, sequence, which,
                            [&](socket_entry&& entry) { got.sockets.push_back(std::move(entry)); });
  return got;
}

/// A netlink message of a dump that is asked for as number 1.
std::string message(std::uint16_t type, std::string_view body, std::uint16_t flags = 0) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + body.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = 1;
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes += body;
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

std::string number(int value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

std::string entry(const inet_diag_msg& msg, std::string_view attributes = {}) {
  std::string body{reinterpret_cast<const char*>(&msg), sizeof msg};
  body += attributes;
  return message(SOCK_DIAG_BY_FAMILY, body);
}

inet_diag_msg listener() {
  inet_diag_msg msg{};
  msg.idiag_family = AF_INET;
  msg.idiag_state = 10;
  msg.id.idiag_sport = htons(80);
  return msg;
}

std::string attribute(std::uint16_t type, std::string_view value, std::uint16_t length) {
  std::string bytes{reinterpret_cast<const char*>(&length), 2};
  bytes += {reinterpret_cast<const char*>(&type), 2};
  bytes += value;
  bytes.resize(NLMSG_ALIGN(bytes.size()));  // both align to 4
  return bytes;
}

TEST(InetDiag, ReadsARecordedDumpOfTcp) {
  const answer v4 = read(recorded("tcp4.dump"));
  EXPECT_EQ(v4.progress.next, step::done);
  EXPECT_FALSE(v4.progress.interrupted);
  EXPECT_THAT(in_words(v4.sockets),
              ElementsAre("LISTEN 127.0.0.1:20001 0.0.0.0:* inode 243722 to read 1 to send 7",
                          "BOUND 0.0.0.0:20002 0.0.0.0:* inode 243379",
                          "ESTABLISHED 127.0.0.1:40004 127.0.0.1:20003 inode 243382",
                          "ESTABLISHED 127.0.0.1:20001 127.0.0.1:40003",  // not accepted yet
                          "ESTABLISHED 127.0.0.1:20001 127.0.0.1:40001 inode 243375 to read 6",
                          "TIME_WAIT 127.0.0.1:20001 127.0.0.1:40002 59948 ms",
                          "ESTABLISHED 127.0.0.1:40001 127.0.0.1:20001 inode 243374",
                          "ESTABLISHED 127.0.0.1:40003 127.0.0.1:20001 inode 243378"));

  const answer v6 = read(recorded("tcp6.dump"));
  EXPECT_EQ(v6.progress.next, step::done);
  EXPECT_THAT(in_words(v6.sockets),
              ElementsAre("LISTEN [::1]:20004 [::]:* inode 243381 to send 5 v6only",
                          "LISTEN [::]:20003 [::]:* inode 243380 to read 1 to send 5 dual-stack",
                          "BOUND [::]:20005 [::]:* inode 243383 v6only",
                          "ESTABLISHED [::ffff:127.0.0.1]:20003 [::ffff:127.0.0.1]:40004"));
}

TEST(InetDiag, ReadsARecordedDumpOfUdp) {
  EXPECT_THAT(in_words(read(recorded("udp4.dump"), protocol::udp).sockets),
              ElementsAre("UNCONN 127.0.0.1:20006 0.0.0.0:* inode 243384",
                          "ESTABLISHED 127.0.0.1:40005 127.0.0.1:20006 inode 243385"));
  EXPECT_THAT(in_words(read(recorded("udp6.dump"), protocol::udp).sockets),
              ElementsAre("UNCONN [::]:20007 [::]:* inode 243386 v6only"));
}

TEST(InetDiag, TellsEachSocketByItsCookie) {
  std::vector<std::uint64_t> cookies;
  for (const char* file : {"tcp4.dump", "tcp6.dump", "udp4.dump", "udp6.dump"}) {
    for (const socket_entry& each : read(recorded(file)).sockets) cookies.push_back(each.cookie);
  }
  std::sort(cookies.begin(), cookies.end());
  EXPECT_EQ(cookies.size(), 15U);
  EXPECT_EQ(std::unique(cookies.begin(), cookies.end()), cookies.end());
  EXPECT_NE(cookies.front(), 0U);
}

TEST(InetDiag, SaysWhatTheKernelRefused) {
  const answer refused = read(recorded("refused.dump"));
  EXPECT_EQ(refused.progress.next, step::refused);
  EXPECT_EQ(refused.progress.error, EINVAL);
  const answer at_the_end = read(message(NLMSG_DONE, number(-ENOENT)));
  EXPECT_EQ(at_the_end.progress.next, step::refused);
  EXPECT_EQ(at_the_end.progress.error, ENOENT);
}

TEST(InetDiag, PassesOverAnOlderDump) {
  const answer late = read(recorded("tcp4.dump"), protocol::tcp, 2);
  EXPECT_EQ(late.progress.next, step::more);
  EXPECT_THAT(late.sockets, IsEmpty());
}

TEST(InetDiag, SaysThatTheTableChangedMeanwhile) {
  EXPECT_TRUE(read(message(NLMSG_DONE, number(0), NLM_F_DUMP_INTR)).progress.interrupted);
  EXPECT_FALSE(read(message(NLMSG_DONE, number(0))).progress.interrupted);
}

TEST(InetDiag, ReadsNothingBeyondTheEndOfTheDump) {
  const std::string bytes = entry(listener()) + message(NLMSG_DONE, number(0)) + entry(listener());
  EXPECT_EQ(read(bytes).sockets.size(), 1U);
}

TEST(InetDiag, PassesOverMessagesThatSayNothing) {
  const std::string bytes = message(NLMSG_NOOP, "") + message(NLMSG_NOOP, "text") +
                            message(4711, "x") + entry(listener());
  EXPECT_EQ(read(bytes).sockets.size(), 1U);
  EXPECT_EQ(read(bytes).progress.next, step::more);
  EXPECT_EQ(read("").progress.next, step::more);
}

TEST(InetDiag, TellsATruncatedDumpFromAWholeOne) {
  for (const char* file : {"tcp4.dump", "tcp6.dump"}) {
    const std::string bytes = recorded(file);
    std::vector<std::size_t> ends{0};  // between two messages a dump may go on in the next datagram
    for (std::size_t at = 0; at < bytes.size(); ends.push_back(at)) {
      std::uint32_t length = 0;
      std::memcpy(&length, bytes.data() + at, sizeof length);
      at += NLMSG_ALIGN(length);
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const bool between = std::find(ends.begin(), ends.end(), size) != ends.end();
      ASSERT_EQ(read(std::string{bytes, 0, size}).progress.next,
                between ? step::more : step::malformed)
          << size << " bytes of " << file;
    }
  }
}

TEST(InetDiag, RefusesWhatIsNoSocket) {
  const auto step_of = [](const inet_diag_msg& msg) { return read(entry(msg)).progress.next; };
  EXPECT_EQ(step_of(listener()), step::more);
  inet_diag_msg msg = listener();
  msg.idiag_family = AF_UNIX;
  EXPECT_EQ(step_of(msg), step::malformed);
  for (const int state : {0, 14, 31, 32, 255}) {
    msg = listener();
    msg.idiag_state = static_cast<std::uint8_t>(state);
    EXPECT_EQ(step_of(msg), step::malformed) << "state " << state;
  }
  EXPECT_EQ(read(message(SOCK_DIAG_BY_FAMILY, std::string(sizeof msg - 1, '\0'))).progress.next,
            step::malformed);
  EXPECT_EQ(read(message(NLMSG_ERROR, "abc")).progress.next, step::malformed);
  EXPECT_EQ(read(message(NLMSG_ERROR, number(-4096))).progress.next, step::malformed);
  std::string bytes = entry(listener());
  bytes[0] = 15;  // a length that is less than the header's
  EXPECT_EQ(read(bytes).progress.next, step::malformed);
}

TEST(InetDiag, TellsApartTheTwoFacesOfAState) {
  inet_diag_msg msg = listener();
  msg.idiag_state = 7;
  EXPECT_EQ(read(entry(msg), protocol::tcp).sockets.at(0).state, socket_state::bound);
  EXPECT_EQ(read(entry(msg), protocol::udp).sockets.at(0).state, socket_state::unconn);
  msg.idiag_state = 12;
  EXPECT_EQ(read(entry(msg)).sockets.at(0).state, socket_state::syn_recv);
}

TEST(InetDiag, SaysHowLongOnlyOfATimeWait) {
  inet_diag_msg msg = listener();
  msg.idiag_expires = 1500;
  EXPECT_EQ(read(entry(msg)).sockets.at(0).time_left, std::nullopt);
  msg.idiag_timer = 1;  // retransmission
  EXPECT_EQ(read(entry(msg)).sockets.at(0).time_left, std::nullopt);
  msg.idiag_timer = 3;
  EXPECT_EQ(read(entry(msg)).sockets.at(0).time_left, std::chrono::milliseconds{1500});
}

TEST(InetDiag, KnowsTheInterfaceOfALinkLocalAddress) {
  inet_diag_msg msg = listener();
  msg.idiag_family = AF_INET6;
  msg.id.idiag_if = 2;
  msg.id.idiag_src[0] = htonl(0xfe800000);
  msg.id.idiag_src[3] = htonl(1);
  EXPECT_EQ(to_string(read(entry(msg)).sockets.at(0).local), "[fe80::1%2]:80");
  msg.id.idiag_src[0] = htonl(0x20010db8);  // bound to a device, but of global scope
  EXPECT_EQ(to_string(read(entry(msg)).sockets.at(0).local), "[2001:db8::1]:80");
  EXPECT_EQ(read(entry(msg)).sockets.at(0).interface_index, 2U);
}

TEST(InetDiag, ReadsAttributesAsFarAsTheyAreWhole) {
  const auto v6only_after = [](const std::string& attributes) {
    const answer got = read(entry(listener(), attributes));
    EXPECT_EQ(got.progress.next, step::more);
    return got.sockets.at(0).v6only;
  };
  EXPECT_EQ(v6only_after(""), std::nullopt);
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, "\1", 5)), true);
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, {"\0", 1}, 5)), false);
  EXPECT_EQ(v6only_after(attribute(99, "12345", 9) + attribute(INET_DIAG_SKV6ONLY, "\1", 5)), true);
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, "", 4)), std::nullopt);    // no value
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, "\1", 0)), std::nullopt);  // would not end
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, "\1", 3)), std::nullopt);
  EXPECT_EQ(v6only_after(attribute(INET_DIAG_SKV6ONLY, "\1", 500)), std::nullopt);  // goes beyond
  EXPECT_EQ(v6only_after("ab"), std::nullopt);
}

TEST(InetDiag, SurvivesEveryFlippedByte) {
  const std::string whole = recorded("tcp6.dump");
  std::size_t refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      const answer got = read(bytes);
      EXPECT_LE(got.sockets.size(), 6U);
      for (const socket_entry& each : got.sockets) EXPECT_NE(to_string(each.state), "UNKNOWN");
      refused += got.progress.next == step::malformed || got.progress.next == step::refused;
    }
  }
  EXPECT_GT(refused, 0U);
}

/// Whether the kernel would audit this program as sound (`inet_diag_bc_audit`), and then whether it
/// lets a local port pass (`inet_diag_bc_run`). Both in net/ipv4/inet_diag.c, told here anew.
bool passes(const std::vector<inet_diag_bc_op>& program, std::uint16_t port) {
  constexpr int op = sizeof(inet_diag_bc_op);
  const int size = static_cast<int>(program.size()) * op;
  int at = 0;
  while (at < size) {
    const inet_diag_bc_op& now = program[static_cast<std::size_t>(at / op)];
    bool yes = true;
    if (now.code == INET_DIAG_BC_S_GE || now.code == INET_DIAG_BC_S_LE) {
      if (at + op >= size) throw std::runtime_error{"no operand"};
      const std::uint16_t operand = program[static_cast<std::size_t>(at / op) + 1].no;
      yes = now.code == INET_DIAG_BC_S_GE ? port >= operand : port <= operand;
    } else if (now.code == INET_DIAG_BC_JMP) {
      yes = false;
    } else {
      throw std::runtime_error{"unknown code " + std::to_string(now.code)};
    }
    if (now.yes < op || now.yes % op != 0 || now.no < op || now.no % op != 0)
      throw std::runtime_error{"a jump to nowhere"};
    at += yes ? now.yes : now.no;
  }
  if (at > size + op) throw std::runtime_error{"a jump beyond the end"};
  return at == size;
}

TEST(PortFilter, LetsItsPortsPassAndNoOther) {
  std::vector<std::uint16_t> every_third(3000);
  for (std::size_t i = 0; i < every_third.size(); ++i) {
    every_third[i] = static_cast<std::uint16_t>(i * 3);
  }
  const std::vector<std::uint16_t> cases[] = {
      {80}, {0}, {65535}, {0, 65535}, {80, 81}, {80, 81, 82, 90, 8080}, {80, 80}, every_third};
  for (const auto& ports : cases) {
    const auto program = port_filter(ports);
    ASSERT_FALSE(program.empty());
    const unsigned stride = ports.size() < 100 ? 1 : 29;
    for (unsigned port = 0; port <= 65535; port += stride) {
      const auto number = static_cast<std::uint16_t>(port);
      ASSERT_EQ(passes(program, number), std::binary_search(ports.begin(), ports.end(), number))
          << "port " << port << " of " << ports.size();
    }
  }
}

TEST(PortFilter, JoinsNeighboursAndGivesUpWhereAJumpIsTooShort) {
  EXPECT_THAT(port_filter({}), IsEmpty());
  std::vector<std::uint16_t> all(65536);
  std::iota(all.begin(), all.end(), std::uint16_t{0});
  EXPECT_EQ(port_filter(all).size(), 5U);
  std::vector<std::uint16_t> every_second;
  for (unsigned port = 1; port < 65535; port += 2) {
    every_second.push_back(static_cast<std::uint16_t>(port));
  }
  EXPECT_THAT(port_filter(every_second), IsEmpty());
}

}  // namespace
