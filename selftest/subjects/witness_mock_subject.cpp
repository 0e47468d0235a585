// SPDX-License-Identifier: BSL-1.0
//
// A program that mocks bind(2): it keeps its own, whatever it links.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {
int calls = 0;
}

extern "C" int bind(int fd, const sockaddr* where, socklen_t size) noexcept {
  ++calls;
  return static_cast<int>(::syscall(SYS_bind, fd, where, size));
}

TEST(Mocked, LeavesAListener) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  EXPECT_EQ(calls, 1) << "tidewait's own binds are not the program's";
}
