// SPDX-License-Identifier: BSL-1.0
//
// How much is printed of many findings.

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"

namespace {

using selftest::run_together;
using selftest::words;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

selftest::run_result thousand(words environment, const std::string& filter = "*") {
  environment.emplace_back("TIDEWAIT_POLICY=");
  return run_together(
      {SELFTEST_GTEST_THOUSAND_SUBJECT, "--gtest_color=no", "--gtest_filter=" + filter},
      environment);
}

/// A tenth of the subject; the whole of it adds as much.
TEST(ReportSize, ManyTestsThatAreAlikeAddNextToNothingToGoogleTestsOwnOutput) {
  const std::string part = "*/?:*/??";
  const auto left = thousand({}, part);
  EXPECT_EQ(left.status, 1);
  const auto plain = thousand({"FAIL_PLAINLY=1"}, part);
  EXPECT_EQ(plain.status, 1);
  EXPECT_LE(lines_of(left.out), lines_of(plain.out) + 40);
  EXPECT_THAT(left.out,
              AllOf(HasSubstr("tidewait: looked after 100 tests: 100 left something behind\n"),
                    HasSubstr("; the same in 99 more tests\n"),
                    HasSubstr("/99 left 1 socket behind on 127.0.0.1:"),
                    HasSubstr(": as OfMany/Each.LeavesAListener/0\n")));
}

TEST(ReportSize, OneFindingTakesAtMostEightLines) {
  const auto left = thousand({}, "*/7");
  const auto begin = left.out.find("tidewait: OfMany/");
  const auto end = left.out.find("[  FAILED  ]", begin);
  ASSERT_NE(begin, std::string::npos) << left.out;
  const std::string text = left.out.substr(begin, end - begin);
  EXPECT_LE(lines_of(text), 9U) << text;  // and the empty line that GoogleTest adds
  EXPECT_THAT(text, AllOf(HasSubstr("  LISTEN 127.0.0.1:"), HasSubstr("  why: "),
                          HasSubstr("  fix: "), HasSubstr("  next bind: "),
                          HasSubstr("  tolerate: listen+test=OfMany/Each.LeavesAListener/7, in")));
}

TEST(ReportSize, IsFullIfTheUserAsks) {
  const auto left = thousand({"TIDEWAIT_REPORT=full"}, "*/7:*/8");
  EXPECT_THAT(left.out, AllOf(HasSubstr("  state   local"), HasSubstr("  seen by: "),
                              Not(HasSubstr(": as OfMany"))));
}

}  // namespace
