// SPDX-License-Identifier: BSL-1.0
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/policy.hpp>

namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "-" : value;
}

/// What the rules of the environment mean.
std::string rules() { return to_string(tidewait::policy_from_environment()); }

const std::string in_quotes = R"("a, b; c+d [e] $<1:f> 'g' \"h\" \\i (j) #k {l} @m@ [n")";

std::vector<std::string> arguments;

TEST(Environment, HasTheNameThatCTestHasForTheTest) {
  EXPECT_EQ(variable("TIDEWAIT_TEST"), "net.Environment.HasTheNameThatCTestHasForTheTest");
}
TEST(Environment, HasTheRules) {
  EXPECT_EQ(rules(),
            "time_wait, port=8000-8010, listen+test=" + in_quotes + ", bound, max_wait=2000ms");
}
TEST(Environment, HasTheJournal) { EXPECT_EQ(variable("TIDEWAIT_JOURNAL"), JOURNAL); }
TEST(Environment, HasTwoPorts) {
  if (!WITH_COMMAND) GTEST_SKIP() << "ports are leased by the launcher";
  EXPECT_GT(std::stoi(variable("TIDEWAIT_PORT_0")), 0);
  EXPECT_GT(std::stoi(variable("TIDEWAIT_PORT_1")), 0);
}
TEST(Environment, HasWhatTheProjectsOwnLauncherAdds) {
  if (!WITH_COMMAND) GTEST_SKIP() << "none is set";
  EXPECT_EQ(variable("DISCOVER_LAUNCHER"), "own");
}
TEST(Environment, HasTheArguments) {
  EXPECT_EQ(arguments, (std::vector<std::string>{"--of-ours", "two words"}));
}

TEST(Late, HasTheNameAndNoJournal) {
  EXPECT_EQ(variable("TIDEWAIT_TEST"), "late.Late.HasTheNameAndNoJournal");
  EXPECT_EQ(rules(), "warn:test=" + in_quotes);
  EXPECT_EQ(variable("TIDEWAIT_JOURNAL"), "-");
}

TEST(OneTest, HasItsArguments) {
  EXPECT_EQ(variable("TIDEWAIT_TEST"), "one test");
  std::vector<std::string> wanted{"a;b"};
  if (WITH_COMMAND) wanted.insert(wanted.begin(), variable("TIDEWAIT_PORT_1"));
  EXPECT_EQ(arguments, wanted);
  EXPECT_EQ(rules(), "owner=" + in_quotes + ", max_wait=40ms");
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  arguments.assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
