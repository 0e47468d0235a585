// SPDX-License-Identifier: BSL-1.0
//
// A program that knows nothing of tidewait but links tidewait::gtest_auto. (It asks about a port,
// once.)

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>

#include "../support/sockets.hpp"

namespace {

std::uint16_t port_of(const char* variable) {
  const char* const port = std::getenv(variable);
  return static_cast<std::uint16_t>(port == nullptr ? 0 : std::atoi(port));
}

/// A listener on a port that nobody leased; the number is the driver's, so that runs do not meet.
int leak(const char* variable) {
  const std::uint16_t port = port_of(variable);
  if (port == 0) return -1;
  if (std::getenv("LEAVE_TIME_WAIT") != nullptr) sockets::leave_time_wait(port);
  return sockets::listen_on(port);
}

/// The same on the path of a Unix socket.
int leak_unix(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) return -1;
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::strncpy(where.sun_path, path, sizeof where.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  EXPECT_EQ(::listen(listener, 1), 0);
  return listener;
}

class Auto : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    leak("LEAK_IN_SUITE");
    suite_ = leak_unix("UNIX_IN_SUITE");
  }
  static int suite_;
};
int Auto::suite_ = -1;

TEST_F(Auto, First) {
  if (std::getenv("SKIP_FIRST") != nullptr) GTEST_SKIP();
  leak("LEAK_IN_FIRST");
  if (std::getenv("LEAK_ANYWHERE") != nullptr) sockets::listen_on(0);  // the kernel chooses
  const int listener = leak_unix("UNIX_IN_FIRST");
  if (std::getenv("CLOSE_UNIX_IN_FIRST") != nullptr) ::close(listener);
}
TEST_F(Auto, Second) {
  const std::uint16_t port = port_of("IS_FREE_IN_SECOND");
  if (port != 0) {
    EXPECT_TRUE(tidewait::gtest::is_free(port));
  }
}
TEST_F(Auto, Third) {
  leak("LEAK_IN_THIRD");
  if (std::getenv("CLOSE_UNIX_IN_THIRD") != nullptr) ::close(suite_);
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
