// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/endpoint.hpp>

namespace {

using tidewait::endpoint;
using tidewait::ip_address;
using tidewait::ipv6_only;
using tidewait::overlap;
using tidewait::parse_address;
using tidewait::parse_endpoint;
using tidewait::to_string;

ip_address address(std::string_view text) {
  const auto parsed = parse_address(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(ip_address{});
}

std::string reprinted(std::string_view text) {
  const auto parsed = parse_address(text);
  return parsed ? to_string(*parsed) : "no address";
}

TEST(Address, IsPrintedAsRfc5952SaysAndReadBack) {
  // Section 4 and 5 of RFC 5952, and what it leaves alone.
  const struct {
    const char* written;
    const char* printed;
  } table[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"127.0.0.1", "127.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:0db8::0001", "2001:db8::1"},                // leading zeros go
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},         // as short as possible
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // not for one group
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},   // nor if it was written so
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // the first of two
      {"2001:DB8::ABCD", "2001:db8::abcd"},              // lower case
      {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},              // a run at the front
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},              // and at the end
      {"1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"},            //
      {"0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},            //
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},          // the mapped prefix is well known
      {"::ffff:c000:201", "::ffff:192.0.2.1"},           //
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},      //
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},    //
      {"fe80::1%2", "fe80::1%2"},                        //
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(reprinted(row.written), row.printed) << row.written;
    EXPECT_EQ(reprinted(row.printed), row.printed);
  }
}

TEST(Address, ThatIsNoneIsRefused) {
  for (const char* text : {"",
                           ".",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.",
                           ".1.2.3",
                           "1..2.3",
                           "256.0.0.1",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "01.2.3.4",
                           "1.2.3.04",
                           "0x1.2.3.4",
                           "1.2.3.-4",
                           ":",
                           ":::",
                           "1:",
                           ":1",
                           "1:2",
                           "1::2::3",
                           "::1::",
                           "12345::",
                           "00001::",
                           "g::",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "::1.2.3",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::%",
                           "::1%",
                           "::1%lo",
                           "::1%1%2",
                           "%1",
                           "::1%4294967296",
                           "localhost",
                           "[::1]",
                           "::1]"}) {
    EXPECT_EQ(reprinted(text), "no address") << text;
  }
}

TEST(Address, IsWhatTheSystemSaysOfEveryShortText) {
  // Each text of up to six characters of those that matter, as inet_pton(3) reads it.
  constexpr std::string_view characters = "0:1f.";
  std::vector<std::string> texts{""};
  for (std::size_t next = 0; next < texts.size(); ++next) {
    const std::string text = texts[next];
    unsigned char bytes[16] = {};
    const bool six = text.find(':') != std::string::npos;
    const bool known = ::inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), bytes) == 1;
    const auto parsed = parse_address(text);
    ASSERT_EQ(parsed.has_value(), known) << '"' << text << '"';
    if (parsed) {
      EXPECT_EQ(std::memcmp(parsed->bytes().data(), bytes, six ? 16 : 4), 0) << text;
    }
    if (text.size() < 7) {
      for (const char c : characters) texts.push_back(text + c);
    }
  }
  EXPECT_EQ(texts.size(), 97656U);
}

TEST(Address, KnowsWhatKindItIs) {
  EXPECT_TRUE(address("0.0.0.0").is_wildcard());
  EXPECT_TRUE(address("::").is_wildcard());
  EXPECT_TRUE(address("::ffff:0.0.0.0").is_wildcard());
  EXPECT_FALSE(address("0.0.0.1").is_wildcard());
  EXPECT_FALSE(address("::1").is_wildcard());

  EXPECT_TRUE(address("127.0.0.1").is_loopback());
  EXPECT_TRUE(address("127.255.0.9").is_loopback());
  EXPECT_TRUE(address("::1").is_loopback());
  EXPECT_TRUE(address("::ffff:127.0.0.1").is_loopback());
  EXPECT_FALSE(address("128.0.0.1").is_loopback());
  EXPECT_FALSE(address("::2").is_loopback());

  EXPECT_TRUE(address("::ffff:1.2.3.4").is_v4_mapped());
  EXPECT_EQ(address("::ffff:1.2.3.4").unmapped(), address("1.2.3.4"));
  EXPECT_FALSE(address("::1.2.3.4").is_v4_mapped());
  EXPECT_NE(address("::ffff:1.2.3.4"), address("1.2.3.4"));
  EXPECT_NE(address("fe80::1%1"), address("fe80::1%2"));
}

TEST(Address, SortsIPv4BeforeIPv6) {
  std::vector<ip_address> all{address("::"), address("::1"), address("10.0.0.1"),
                              address("9.0.0.1")};
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (std::vector<ip_address>{address("9.0.0.1"), address("10.0.0.1"), address("::"),
                                          address("::1")}));
}

TEST(Endpoint, IsReadInEveryUsualForm) {
  const struct {
    const char* written;
    const char* printed;
  } table[] = {
      {"1.2.3.4:80", "1.2.3.4:80"},
      {"[::1]:80", "[::1]:80"},
      {"*:80", "0.0.0.0:80"},
      {":80", "[::]:80"},
      {"80", "[::]:80"},
      {"0.0.0.0:0", "0.0.0.0:*"},
      {"65535", "[::]:65535"},
      {"[fe80::1%3]:9", "[fe80::1%3]:9"},
      {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"},
  };
  for (const auto& row : table) {
    const auto parsed = parse_endpoint(row.written);
    EXPECT_EQ(parsed ? to_string(*parsed) : "no endpoint", row.printed) << row.written;
  }
}

TEST(Endpoint, ThatIsNoneIsRefused) {
  for (const char* text : {"",
                           ":",
                           "*",
                           "*:",
                           "1.2.3.4",
                           "1.2.3.4:",
                           "1.2.3.4:65536",
                           "65536",
                           "99999999999",
                           "-1",
                           "+80",
                           "80 ",
                           " 80",
                           "0x50",
                           "::1:80",
                           "[::1]",
                           "[::1]:",
                           "[::1",
                           "[]:80",
                           "[1.2.3.4]:80",
                           "[::1]x:80",
                           "::1]:80",
                           "localhost:80",
                           "1.2.3:80",
                           "http"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

TEST(Endpoint, SortsByPortFirst) {
  EXPECT_LT(*parse_endpoint("9.9.9.9:1"), *parse_endpoint("1.1.1.1:2"));
  EXPECT_LT(*parse_endpoint("1.1.1.1:2"), *parse_endpoint("9.9.9.9:2"));
  EXPECT_FALSE(*parse_endpoint("9.9.9.9:2") < *parse_endpoint("9.9.9.9:2"));
}

/// What a bind to these two meets, whichever comes first; 'only' after an address sets IPV6_V6ONLY.
bool meet(std::string_view a, std::string_view b) {
  const auto scope = [](std::string_view& text) {
    constexpr std::string_view only = " only";
    if (text.size() < only.size() || text.substr(text.size() - only.size()) != only)
      return ipv6_only::no;
    text.remove_suffix(only.size());
    return ipv6_only::yes;
  };
  const ipv6_only a_scope = scope(a);
  const ipv6_only b_scope = scope(b);
  const endpoint x{address(a), 80};
  const endpoint y{address(b), 80};
  const bool one_way = overlap(x, a_scope, y, b_scope);
  EXPECT_EQ(one_way, overlap(y, b_scope, x, a_scope)) << a << " and " << b << ", the other way";
  EXPECT_FALSE(overlap(x, a_scope, {y.address, 81}, b_scope)) << "on two ports";
  return one_way;
}

TEST(Endpoint, MeetsAnotherAsTheKernelHasIt) {
  const struct {
    const char* a;
    const char* b;
    bool meets;
  } table[] = {
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"0.0.0.0", "127.0.0.1", true},
      {"0.0.0.0", "0.0.0.0", true},
      {"::1", "::1", true},
      {"::1", "::2", false},
      {"::", "::1", true},
      {"::", "::", true},
      {"::", "::1 only", true},
      {":: only", "::1", true},
      {":: only", ":: only", true},
      {":: only", "::", true},
      {"::", "127.0.0.1", true},
      {"::", "0.0.0.0", true},
      {":: only", "127.0.0.1", false},
      {":: only", "0.0.0.0", false},
      {"::1", "127.0.0.1", false},
      {"::1", "0.0.0.0", false},
      {"::1 only", "0.0.0.0", false},
      {"::ffff:127.0.0.1", "127.0.0.1", true},
      {"::ffff:127.0.0.1", "127.0.0.2", false},
      {"::ffff:127.0.0.1", "0.0.0.0", true},
      {"::ffff:0.0.0.0", "127.0.0.1", true},
      {"::ffff:127.0.0.1", "::", true},
      {"::ffff:127.0.0.1", ":: only", false},
      {"fe80::1%1", "fe80::1%2", false},
      {"fe80::1%1", "::", true},
  };
  for (const auto& row : table) EXPECT_EQ(meet(row.a, row.b), row.meets) << row.a << ' ' << row.b;
}

TEST(Endpoint, MayStandInAConstant) {
  constexpr endpoint loopback{ip_address{ip_address::v4_bytes{127, 0, 0, 1}}, 80};
  constexpr endpoint every{ip_address::any_v6(), 80};
  static_assert(loopback.address.is_loopback() && every.address.is_wildcard());
  static_assert(overlap(loopback, ipv6_only::no, every, ipv6_only::no));
  static_assert(!overlap(loopback, ipv6_only::no, every, ipv6_only::yes));
}

}  // namespace
