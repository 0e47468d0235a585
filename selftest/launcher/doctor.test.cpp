// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Doctor, ShowsThatEveryKindOfLeakIsSeen) {
  const outcome here = run({program_path, "doctor"});
  EXPECT_EQ(here.status, 0) << here.out;
  for (const char* leak : {"listener", "bound socket", "UDP socket", "TIME_WAIT",
                           "inherited by a child", "orphaned server", "closed under accept..",
                           "closed under poll..", "process left running"}) {
    EXPECT_THAT(here.out, ContainsRegex(std::string{"\n  "} + leak + " +yes "));
  }
  EXPECT_THAT(here.out, HasSubstr("\n  isolation  "));
}

TEST(Doctor, ShowsWhatTheWitnessOfATestProgramRecords) {
  const auto row_with = [](const words& environment) {
    const std::string all = run({program_path, "doctor"}, environment).out;
    const auto row = all.find("\n  binds of a test program ");
    return row == std::string::npos ? all : all.substr(row, 250);
  };
  EXPECT_THAT(row_with({}), ContainsRegex(" yes +pid [0-9]+ was seen to bind; "));
  EXPECT_THAT(row_with({"PATH=/nonexistent"}), HasSubstr("install binutils"));
  EXPECT_THAT(row_with({"TIDEWAIT_STACK=off"}), HasSubstr("without its code"));
  EXPECT_THAT(row_with({"TIDEWAIT_WITNESS=off"}), ContainsRegex(" no +TIDEWAIT_WITNESS=off"));
}

TEST(Doctor, FailsWhereALeakIsNotSeenAndSaysWhy) {
  const words without_proc{
      "unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"};
  words probe = without_proc;
  probe.emplace_back("true");
  if (run(probe).status != 0) GTEST_SKIP() << "a mount namespace of one's own is denied";
  words command = without_proc;
  command.insert(command.end(), {program_path, "doctor"});
  const outcome blind = run(command);
  EXPECT_EQ(blind.status, 1) << blind.out << blind.err;
  EXPECT_THAT(blind.out, AllOf(StartsWith("tidewait does not see every kind of leak here\n"),
                               HasSubstr("owners hidden")));
}

}  // namespace
