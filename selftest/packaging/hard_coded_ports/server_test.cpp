// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

namespace {

/// One client and one server, which closes first.
class Server : public ::testing::TestWithParam<int> {};

TEST_P(Server, ServesOnItsPort) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(PORT);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);

  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ASSERT_EQ(::bind(server, name, sizeof address), 0) << std::strerror(errno);
  ASSERT_EQ(::listen(server, 8), 0) << std::strerror(errno);

  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(client, name, sizeof address), 0) << std::strerror(errno);
  const int connection = ::accept(server, nullptr, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds{200});  // what it does takes its time
  ::close(connection);
  char byte = 0;
  EXPECT_EQ(::read(client, &byte, 1), 0);
  ::close(client);
  ::close(server);
}

INSTANTIATE_TEST_SUITE_P(Eight, Server, ::testing::Range(0, 8));

}  // namespace
