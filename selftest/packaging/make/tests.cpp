// SPDX-License-Identifier: BSL-1.0
//
// Tests that know nothing of tidewait.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

int listener() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::listen(fd, 1), 0);
  return fd;
}

TEST(Listener, IsClosed) { ::close(listener()); }
TEST(Listener, IsForgotten) { EXPECT_GE(listener(), 0); }

}  // namespace
