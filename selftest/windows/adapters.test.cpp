// SPDX-License-Identifier: BSL-1.0
//
// Test programs that leave something behind, by their output and exit code.

#include <string>

#include <gmock/gmock.h>

#include "child.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct outcome {
  int exit_code = 0;
  std::string output;
};

outcome run(const char* program, const std::string& arguments) {
  child ran{program, arguments};
  ran.end_input();
  outcome result;
  result.output = ran.read_all();
  result.exit_code = ran.exit_code();
  return result;
}

TEST(WindowsGtest, ATestThatClosesEverythingPasses) {
  const outcome ran = run("subject_gtest.exe", "--gtest_filter=*.ClosesItsListener");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("[  PASSED  ] 2 tests."));
}

TEST(WindowsGtest, ATestThatKnowsNothingOfItFailsForItsListener) {
  const outcome ran = run("subject_gtest.exe", "--gtest_filter=Plain.*");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("[  FAILED  ] Plain.LeavesAListener"),
                                HasSubstr("[       OK ] Plain.ClosesItsListener"),
                                HasSubstr("tidewait: Plain.LeavesAListener left 1 socket behind"),
                                HasSubstr("subject_gtest.exe")));
}

TEST(WindowsGtest, AFixtureSaysWhereThePortWasLeased) {
  const outcome ran = run("subject_gtest.exe", "--gtest_filter=Fixture.*");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("tidewait: Fixture.LeavesAListener left 1 socket behind"),
                                HasSubstr("leased at: gtest_subject.cpp:"),
                                HasSubstr("[       OK ] Fixture.ClosesItsListener")));
}

#ifdef SELFTEST_CATCH2
TEST(WindowsCatch2, ATestThatClosesEverythingPasses) {
  const outcome ran = run("subject_catch2.exe", "\"closes its listener\"");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
}

TEST(WindowsCatch2, ATestThatLeavesAListenerFails) {
  const outcome ran = run("subject_catch2.exe", "");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("tidewait: leaves a listener left 1 socket behind"),
                                HasSubstr("1 passed | 1 failed"),
                                Not(HasSubstr("tidewait: closes its listener"))));
}
#endif

}  // namespace
