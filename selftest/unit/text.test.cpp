// SPDX-License-Identifier: BSL-1.0
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/detail/text.hpp>

namespace {

using namespace std::chrono_literals;
using tidewait::detail::clipped;
using tidewait::detail::columns;
using tidewait::detail::counted;
using tidewait::detail::joined;
using tidewait::detail::sanitised;
using tidewait::detail::text_table;
using tidewait::detail::to_text;
using tidewait::detail::utf8_length;
using tidewait::detail::wrapped;

TEST(Text, OfAnyBytesIsMadeValidUtf8) {
  const struct {
    std::string raw;
    const char* clean;
  } table[] = {
      {"", ""},
      {"plain", "plain"},
      {"Grüße, 世界 🌊", "Grüße, 世界 🌊"},
      {"\x7f\x1b[31m\t\n", "??[31m??"},  // control characters
      {std::string("a\0b", 3), "a?b"},   //
      {"\xc2\x9b"
       "31m",
       "?31m"},                          // and those of the second block: CSI in one character
      {"\xc2\xa0", "\xc2\xa0"},          // which ends there
      {"\xff\xfe", "??"},                // never in UTF-8
      {"\x80", "?"},                     // a continuation alone
      {"\xc3", "?"},                     // cut short
      {"\xe4\xb8", "??"},                //
      {"\xf0\x9f\x8c", "???"},           //
      {"\xc3(", "?("},                   // not continued
      {"\xc0\xaf", "??"},                // overlong
      {"\xe0\x9f\xbf", "???"},           //
      {"\xf0\x8f\xbf\xbf", "????"},      //
      {"\xed\xa0\x80", "???"},           // a surrogate
      {"\xf4\x90\x80\x80", "????"},      // above U+10FFFF
      {"\xef\xbf\xbe", "?"},             // U+FFFE and U+FFFF are not in XML
      {"\xef\xbf\xbf", "?"},             //
      {"\xef\xbf\xbd", "\xef\xbf\xbd"},  // U+FFFD is
      {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
  };
  for (const auto& row : table) EXPECT_EQ(sanitised(row.raw), row.clean);
}

TEST(Text, OfOthersOrdersNobodyAbout) {
  const struct {
    std::string raw;
    const char* clean;
  } table[] = {
      {"<CTestMeasurementFile type=\"file\" name=\"x\">/etc/shadow</CTestMeasurementFile>",
       "?CTestMeasurementFile type=\"file\" name=\"x\">/etc/shadow?/CTestMeasurementFile>"},
      {"a<DartMeasurement>b</DartMeasurement>", "a?DartMeasurement>b?/DartMeasurement>"},
      {"a < b, <ctest> and </p>", "a < b, <ctest> and </p>"},
      {"::stop-commands::x", "?:stop-commands::x"},
      {"a ::error::x", "a ?:error::x"},                // a line may be broken here,
      {"a ::error file=b::x", "a ?:error file=b::x"},  //
      {"a ::error", "a ?:error"},                      // and what follows may complete it
      {"a,::add-mask::x", "a,?:add-mask::x"},          // Catch2 breaks lines here as well
      {"a\u00a0::error::x", "a\u00a0?:error::x"},      // .NET trims these, too
      {"a\u3000::error::x", "a\u3000?:error::x"},      //
      {"a\u200a::error::x", "a\u200a?:error::x"},      //
      {"\t::error::x", "?::error::x"},                 // what stands for the tab is no blank
      {"ns::error::test", "ns::error::test"},          // in the middle of a word
      {"server ::1 [::]:80 -b :::22 a::b<c::d>()",     // no command has such a name
       "server ::1 [::]:80 -b :::22 a::b<c::d>()"},    //
      {"list<int>::value::type (a b)::c::d, ::std::x",
       "list<int>::value::type (a b)::c::d, ::std::x"},
      {"a ::ERROR file=b::x", "a ?:ERROR file=b::x"},
      {"a ::ns2::x ::x:y", "a ::ns2::x ::x:y"},  //
      {"a##[add-mask]b", "a?#[add-mask]b"},      //
      {"a##vso[task.prependpath]b", "a?#vso[task.prependpath]b"},
      {"##teamcity[x]", "?#teamcity[x]"},
      {"a ##1[x] ##issue", "a ##1[x] ##issue"},
      {"####[x", "##?#[x"},                            //
      {"a\u202eb\u2066c\u200bd\ufeffe", "a?b?c?d?e"},  // reordering and invisible characters
      {"a\u2028b\u2029c\u061cd\u00ade", "a?b?c?d?e"},  // line ends that are none, soft hyphen
      {"a\U000e0041b\U0001f30a", "a?b\U0001f30a"},     // a tag; a wave
      {"line\nbreak", "line?break"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(sanitised(row.raw), row.clean);
    EXPECT_EQ(sanitised(sanitised(row.raw)), sanitised(row.raw)) << row.raw;
  }
}

TEST(Text, InWhichAWordIsTooLongForALineOrdersNobodyAbout) {
  const std::string word(70, 'a');
  EXPECT_EQ(sanitised(word + "::error::x"), word + "?:error::x");
}

TEST(Text, IsNotBrokenInFrontOfWhatWouldBeACommandThen) {
  const std::string text = "server -b ::1 and on";
  EXPECT_EQ(wrapped(text, 0, 10), "server -b ::1\nand on");
  EXPECT_EQ(tidewait::detail::sanitised_lines(wrapped(text, 0, 10)), wrapped(text, 0, 10));
}

TEST(Text, OfSeveralLinesIsHarmlessLineByLine) {
  using tidewait::detail::line_breaks;
  EXPECT_EQ(sanitised("a\n::error::b\n  ::c\r\n", 100, line_breaks::kept),
            "a\n?:error::b\n  ?:c?\n");
}

TEST(Text, ThatIsVeryLongIsCut) {
  EXPECT_EQ(sanitised("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(sanitised("abcdefghi", 8), "abcde...");
  EXPECT_EQ(sanitised("abcdüüü", 8), "abcd...");
  const std::string million(1000000, 'a');
  EXPECT_EQ(sanitised(million).size(), tidewait::detail::longest_foreign_text);
  EXPECT_EQ(sanitised(sanitised(million)), sanitised(million));
}

TEST(Text, OfOneSequenceHasTheLengthThatItsLeadSays) {
  EXPECT_EQ(utf8_length("a"), 1U);
  EXPECT_EQ(utf8_length("ü"), 2U);
  EXPECT_EQ(utf8_length("世"), 3U);
  EXPECT_EQ(utf8_length("🌊"), 4U);
  EXPECT_EQ(columns("Grüße 🌊"), 7U);
}

TEST(Text, ThatIsTooLongIsClippedAtACharacter) {
  EXPECT_EQ(clipped("server", 6), "server");
  EXPECT_EQ(clipped("servers", 6), "ser...");
  EXPECT_EQ(clipped("üüüüüüü", 6), "üüü...");
}

TEST(Text, OfADurationIsInSecondsOrMilliseconds) {
  EXPECT_EQ(to_text(0ms), "0 ms");
  EXPECT_EQ(to_text(999ms), "999 ms");
  EXPECT_EQ(to_text(1000ms), "1.0 s");
  EXPECT_EQ(to_text(59149ms), "59.1 s");
  EXPECT_EQ(to_text(59150ms), "59.2 s");
  EXPECT_EQ(to_text(59999ms), "60.0 s");
}

TEST(Text, CountsAndJoins) {
  EXPECT_EQ(counted(0, "socket"), "0 sockets");
  EXPECT_EQ(counted(1, "socket"), "1 socket");
  EXPECT_EQ(counted(2, "socket"), "2 sockets");
  EXPECT_EQ(joined({}, ", "), "");
  EXPECT_EQ(joined({"a"}, ", "), "a");
  EXPECT_EQ(joined({"a", "b", "c"}, ", "), "a, b, c");
}

TEST(Text, IsWrappedAtSpaces) {
  EXPECT_EQ(wrapped("", 2, 10), "");
  EXPECT_EQ(wrapped("one two", 3, 10), "one two");
  EXPECT_EQ(wrapped("one two.", 3, 10), "one\n   two.");
  EXPECT_EQ(wrapped("unbreakable", 2, 10), "unbreakable");
  EXPECT_EQ(wrapped("a unbreakable b", 2, 10), "a\n  unbreakable\n  b");
}

TEST(Text, InATableHasColumnsAsWideAsTheyMustBe) {
  text_table table{{"state", "owner", "note"}};
  table.add({"LISTEN", "pid 4711", "-"});
  table.add({"UDP", "grüß", "some words that go on below"});
  EXPECT_EQ(table.render("  ", 36),
            "  state   owner     note\n"
            "  LISTEN  pid 4711  -\n"
            "  UDP     grüß      some words that\n"
            "                    go on below\n");
}

TEST(Text, InATableStandsBelowARowThatLeavesNoRoomForIt) {
  text_table table;
  table.add({"Short.Test", "127.0.0.1:1234", "the kernel chose the port"});
  table.add({"Suite.TestWithAVeryLongName", "127.0.0.1:1234", "it fits"});
  table.add({"Suite.TestWithAVeryLongName", "127.0.0.1:1234", "the kernel chose the port"});
  EXPECT_EQ(table.render("  ", 54),
            "  Short.Test                   127.0.0.1:1234\n"
            "      the kernel chose the port\n"
            "  Suite.TestWithAVeryLongName  127.0.0.1:1234  it fits\n"
            "  Suite.TestWithAVeryLongName  127.0.0.1:1234\n"
            "      the kernel chose the port\n");
  EXPECT_EQ(text_table{{"the only cell is not moved"}}.render("", 10),
            "the only\ncell is\nnot moved\n");
}

}  // namespace
