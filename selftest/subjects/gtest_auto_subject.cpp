// SPDX-License-Identifier: BSL-1.0
//
// A program that knows nothing of tidewait but links tidewait::gtest_auto.

#include <cstdlib>

#include <gtest/gtest.h>

#include "../support/loopback.hpp"

namespace {

/// A listener on a port that nobody leased; the number is the driver's, so that runs do not meet.
int leak(const char* variable) {
  const char* const port = std::getenv(variable);
  return port == nullptr ? -1 : loopback::listen_on(static_cast<std::uint16_t>(std::atoi(port)));
}

class Auto : public testing::Test {
 protected:
  static void SetUpTestSuite() { leak("LEAK_IN_SUITE"); }
};

TEST_F(Auto, First) { leak("LEAK_IN_FIRST"); }
TEST_F(Auto, Second) {}
TEST_F(Auto, Third) {
  leak("LEAK_IN_THIRD");
  if (std::getenv("FAIL_THIRD") != nullptr) FAIL() << "the test's own failure";
}

class Global : public testing::Environment {
 public:
  void SetUp() override { leak("LEAK_IN_ENVIRONMENT"); }
};
testing::Environment* const global = testing::AddGlobalTestEnvironment(new Global);

/// A listener of the user's: it sees whether the test has failed.
class Printer : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& info) override {
    if (info.result()->Failed()) std::printf("user's listener: %s failed\n", info.name());
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new Printer);
  return RUN_ALL_TESTS();
}
