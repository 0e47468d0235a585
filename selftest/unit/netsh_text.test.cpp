// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <gmock/gmock.h>

#include <library/windows/netsh_text.hpp>

namespace {

using testing::IsEmpty;
using tidewait::detail::parse_dynamic_range;
using tidewait::detail::parse_excluded_ranges;

/// "5357-5357 50000-50059*"; "-" for nothing.
std::string excluded(std::string_view text) {
  const auto ranges = parse_excluded_ranges(text);
  if (!ranges) return "-";
  std::string all;
  for (const auto& each : *ranges) {
    all += (all.empty() ? "" : " ") + std::to_string(each.ports.first) + '-' +
           std::to_string(each.ports.last) + (each.administered ? "*" : "");
  }
  return all;
}

std::string dynamic(std::string_view text) {
  const auto range = parse_dynamic_range(text);
  return range ? std::to_string(range->first) + '-' + std::to_string(range->last) : "-";
}

TEST(NetshExcludedRanges, AreReadWithTheAdministrators) {
  EXPECT_EQ(
      excluded("\r\nProtocol tcp Port Exclusion Ranges\r\n\r\n"
               "Start Port    End Port      \r\n----------    --------      \r\n"
               "      5357        5357      \r\n     49671       49770      \r\n"
               "     50000       50059     *\r\n\r\n* - Administered port exclusions.\r\n\r\n"),
      "5357-5357 49671-49770 50000-50059*");
}

TEST(NetshExcludedRanges, AreReadInEachLanguage) {
  const std::string rows =
      "----------    --------\r\n      2869        2869\r\n     50000       50059     *\r\n";
  // German in the code page of a console, Japanese in Shift-JIS, with bytes above 127; no words.
  EXPECT_EQ(excluded("\r\nPortausschlussbereiche f\x81r das Protokoll tcp\r\n\r\n"
                     "Startport      Endport\r\n" +
                     rows + "\r\n* - Verwaltete Portausschl\x81sse.\r\n"),
            "2869-2869 50000-50059*");
  EXPECT_EQ(excluded("\x83v\x83\x8d\x83g\x83R\x83\x8b tcp \x83|\x81[\x83g\r\n\x8aJ\x8en\r\n" +
                     rows + "\r\n* - \x8a\xc7\x97\x9d\x82\xb3\x82\xea\r\n"),
            "2869-2869 50000-50059*");
  EXPECT_EQ(excluded(rows), "2869-2869 50000-50059*");
}

TEST(NetshExcludedRanges, MayBeNone) {
  EXPECT_EQ(excluded("Start Port    End Port\n----------    --------\n\n* - Administered.\n"), "");
  EXPECT_EQ(excluded("----------    --------"), "");
}

TEST(NetshExcludedRanges, AreUnknownWhereThereIsNoTable) {
  EXPECT_EQ(excluded(""), "-");
  EXPECT_EQ(excluded("The following command was not found: int ipv4 show excludedportrange.\r\n"),
            "-");
  EXPECT_EQ(excluded("      5357        5357\n"), "-");
  EXPECT_EQ(excluded(std::string_view{"\0-\0-\0-\0 5\0", 11}), "-");
  EXPECT_EQ(excluded(std::string(1U << 20U, '\xff')), "-");
}

TEST(NetshExcludedRanges, AreUnknownWhereALineIsNoRange) {
  for (const char* const line :
       {"5357", "5358 5357", "0 10", "1 65536", "1 99999999999999999999", "1 2 3", "1 2 * *",
        "1 2 +", "5357-5357", "1x 2", "1 2x", "49,671 49,770", "1 -2"})
    EXPECT_EQ(excluded(std::string{"----------    --------\n80 80\n"} + line + "\n"), "-") << line;
}

TEST(NetshDynamicRange, IsTheFirstPortAndHowManyThereAre) {
  EXPECT_EQ(dynamic("\r\nProtocol tcp Dynamic Port Range\r\n---------------------------------\r\n"
                    "Start Port      : 49152\r\nNumber of Ports : 16384\r\n\r\n"),
            "49152-65535");
  EXPECT_EQ(dynamic("---\nStart Port      : 1024\nNumber of Ports : 13977\n"), "1024-15000");
  EXPECT_EQ(dynamic("---\na: 65535\nb: 1\n"), "65535-65535");
  EXPECT_EQ(dynamic("---\na: 1\nb: 65535\n"), "1-65535");
}

TEST(NetshDynamicRange, IsReadInEachLanguage) {
  EXPECT_EQ(dynamic("Dynamischer Portbereich f\x81r Protokoll tcp\r\n-----------------\r\n"
                    "Startport       : 49152\r\nAnzahl von Ports : 16384\r\n"),
            "49152-65535");
  // A wide colon, in UTF-8 and in the code page 936.
  EXPECT_EQ(
      dynamic("-----\n\xe5\x90\xaf\xef\xbc\x9a\x34\x39\x31\x35\x32\n\xca\xfd\xa3\xba 16384\n"),
      "49152-65535");
}

TEST(NetshDynamicRange, IsUnknownWhereThatIsNotWhatItPrints) {
  for (const char* const text :
       {"", "---", "a: 49152\nb: 16384\n", "---\na: 49152\n", "---\na: 1\nb: 2\nc: 3\n",
        "---\na: 49152\nb: 16385\n", "---\na: 0\nb: 16384\n", "---\na: 49152\nb: 0\n",
        "---\na: 1000000\nb: 16384\n", "--- x\na: 49152\nb: 16384\n"})
    EXPECT_EQ(dynamic(text), "-") << text;
}

}  // namespace
