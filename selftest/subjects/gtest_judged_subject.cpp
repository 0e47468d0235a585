// SPDX-License-Identifier: BSL-1.0
//
// Tests that are looked after twice: by their program, and by the launcher around it. The
// environment says on which port or path, so that runs do not meet.

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "../support/sockets.hpp"
#include "../support/unix_server.hpp"

namespace {

std::string given(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}
std::uint16_t port() { return static_cast<std::uint16_t>(std::atoi(given("PORT").c_str())); }

TEST(Judged, RunsAScript) { EXPECT_EQ(std::system(given("SCRIPT").c_str()), 0); }
TEST(Judged, LeavesAStaleFile) { serve_unix(given("UNIX")).reset(); }
TEST(Judged, LeavesTimeWait) { sockets::leave_time_wait(port(), given("WITHOUT_REUSE").empty()); }
TEST(Judged, ServesOnTheWildcard) { ::close(sockets::listen_on(port(), true, "0.0.0.0")); }
TEST(Judged, FailsToBind) {
  EXPECT_THROW(sockets::listen_on(port()), std::system_error);  // the number is the parent's
}

/// For as long as it takes the launcher to see it, who looks only now and then.
TEST(Judged, SharesAPort) {
  const int listener = sockets::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  const sockaddr_in where = sockets::address(port());
  EXPECT_EQ(::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  EXPECT_EQ(::listen(listener, 1), 0);
  ::usleep(500000);
  ::close(listener);
}

}  // namespace
