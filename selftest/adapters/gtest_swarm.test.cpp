// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <cstdlib>
#include <future>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/run_program.hpp"

namespace {

/// How many programs run at once; SELFTEST_SWARM=100 for the full size.
int swarm_size() {
  const char* const size = std::getenv("SELFTEST_SWARM");
  return size == nullptr ? 12 : std::atoi(size);
}

std::string name_of(int number) { return "Of/Swarm.UsesAPort/" + std::to_string(number); }

struct verdicts {
  std::set<std::string> passed, failed, accused;
};

verdicts read(const std::string& output) {
  verdicts all;
  std::istringstream lines{output};
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(std::min<std::size_t>(13, line.size()));
    const std::string test = name.substr(0, name.find_first_of(" ,"));
    if (name.find(" ms)") != std::string::npos && line.rfind("[  FAILED  ]", 0) == 0)
      all.failed.insert(test);
    if (name.find(" ms)") != std::string::npos && line.rfind("[       OK ]", 0) == 0)
      all.passed.insert(test);
    // A warning is no accusation: a process that is just being killed shows nobody what it holds.
    const auto left = line.find(" left ");
    if (line.rfind("tidewait: Of/", 0) == 0 && left != std::string::npos) {
      all.accused.insert(line.substr(10, left - 10));
    }
  }
  return all;
}

TEST(Swarm, EachLeakIsReportedByExactlyTheTestThatMadeIt) {
  std::vector<std::future<selftest::run_result>> runs;
  for (int i = 0; i < swarm_size(); ++i) {
    // Every sixth is killed somewhere on its way.
    std::vector<std::string> command{SELFTEST_GTEST_SWARM_SUBJECT, "--gtest_color=no"};
    if (i % 6 == 5) command.insert(command.begin(), {"timeout", "--signal=KILL", "0.1"});
    runs.push_back(
        std::async(std::launch::async, [command] { return selftest::run_together(command); }));
  }
  std::set<std::string> leaking;
  for (int number = 0; number < 200; ++number) {
    if (number % 20 == 3 || number % 20 == 7) leaking.insert(name_of(number));
  }
  for (int i = 0; i < swarm_size(); ++i) {
    const selftest::run_result run = runs[static_cast<std::size_t>(i)].get();
    const verdicts all = read(run.out);
    for (const std::string& test : all.passed)
      EXPECT_EQ(leaking.count(test), 0U) << test << run.out;
    if (run.status == 1) {
      EXPECT_EQ(all.failed, leaking) << run.out;
      EXPECT_EQ(all.accused, leaking) << run.out;
      EXPECT_EQ(all.passed.size(), 180U) << run.out;
    } else {
      EXPECT_EQ(run.status, 128 + SIGKILL) << run.out;
      EXPECT_EQ(i % 6, 5) << run.out;
      for (const std::string& test : all.failed)
        EXPECT_EQ(leaking.count(test), 1U) << test << run.out;
    }
  }
}

}  // namespace
