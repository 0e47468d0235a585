// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/gtest.hpp>

namespace {

/// Leases in its constructor. In the child of a death test it is never destroyed.
class LeaseDeathTest : public tidewait::gtest::fixture {
 protected:
  tidewait::port_lease port_ = lease_port();
};

constexpr const char* variable = "SELFTEST_DEATH_PIPE";

/// In the child: tells the parent which port it has, and dies.
[[noreturn]] void tell_and_die(std::uint16_t port) {
  const std::string text = std::to_string(port) + '\n';
  const char* const pipe = std::getenv(variable);
  const int to = pipe == nullptr ? -1 : std::atoi(pipe);
  ::_exit(::write(to, text.data(), text.size()) > 0 ? 3 : 4);
}

TEST_F(LeaseDeathTest, LeavesNothingLocked) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  int ends[2] = {-1, -1};
  if (std::getenv(variable) == nullptr) {  // in the parent; the child runs this line as well
    ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
    ::setenv(variable, std::to_string(ends[1]).c_str(), 1);
  }
  EXPECT_EXIT(tell_and_die(port_.number()), testing::ExitedWithCode(3), "");
  ::unsetenv(variable);
  char text[16] = "";
  ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
  const int port = std::atoi(text);
  EXPECT_NE(port, port_.number()) << "the child leased for itself";
  tidewait::detail::unique_fd lock;
  EXPECT_EQ(
      tidewait::detail::lock_port(tidewait::protocol::tcp, static_cast<std::uint16_t>(port), lock),
      std::error_code{});
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
