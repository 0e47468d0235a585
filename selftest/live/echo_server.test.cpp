// SPDX-License-Identifier: BSL-1.0
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <system_error>

#include <gmock/gmock.h>

#include <echo_server.hpp>

namespace {

using testing::HasSubstr;
using testing::StartsWith;

echo_options without_reuse() {
  echo_options options;
  options.reuse_address = false;
  return options;
}

/// What goes wrong when a server with these options is started; "" if nothing does.
std::string why_not_free(std::uint16_t port, const echo_options& options = without_reuse()) {
  try {
    const echo_server server{port, options};
    return "";
  } catch (const std::system_error& error) {
    return error.what();
  }
}

TEST(EchoServer, SendsEachLineBack) {
  const echo_server server{0};
  EXPECT_EQ(server.ask("hi"), "hi");
  EXPECT_EQ(server.ask(""), "");
  EXPECT_EQ(server.ask(std::string(5000, 'x')), std::string(5000, 'x'));
}

TEST(EchoServer, LeavesItsPortFree) {
  std::uint16_t port = 0;
  {
    const echo_server server{0};
    port = server.port();
    EXPECT_EQ(server.ask("hi"), "hi");
  }
  EXPECT_EQ(why_not_free(port), "");
}

TEST(EchoServer, NamesTheEndpointThatItCannotHave) {
  const echo_server first{0};
  EXPECT_EQ(why_not_free(first.port()),
            "bind 127.0.0.1:" + std::to_string(first.port()) + ": Address already in use");
}

TEST(EchoServer, RefusesWhatIsNoAddress) {
  echo_options options;
  options.address = "localhost";
  EXPECT_THAT(why_not_free(0, options), StartsWith("\"localhost\" as an IP address: "));
}

TEST(EchoServer, CanForgetItsListener) {
  int forgotten = -1;
  std::uint16_t port = 0;
  {
    echo_server server{0};
    port = server.port();
    forgotten = server.leak_listener();
  }
  EXPECT_THAT(why_not_free(port), HasSubstr("Address already in use"));
  ::close(forgotten);
  EXPECT_EQ(why_not_free(port), "");
}

TEST(EchoServer, ThatClosesFirstKeepsItsPortInTimeWait) {
  echo_options options = without_reuse();
  options.close_first = true;
  std::uint16_t port = 0;
  {
    const echo_server server{0, options};
    port = server.port();
    EXPECT_EQ(server.ask("hi"), "hi");
  }
  EXPECT_THAT(why_not_free(port), HasSubstr("Address already in use"));
}

TEST(EchoServer, StopsWhileAClientIsConnected) {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char reply = '\0';
  {
    const echo_server server{0};
    sockaddr_in endpoint{};
    endpoint.sin_family = AF_INET;
    endpoint.sin_port = htons(server.port());
    endpoint.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&endpoint), sizeof endpoint), 0);
    ASSERT_EQ(::send(client, "?", 1, MSG_NOSIGNAL), 1);
    ASSERT_EQ(::recv(client, &reply, 1, 0), 1);
    EXPECT_EQ(reply, '?');
  }
  EXPECT_EQ(::recv(client, &reply, 1, 0), 0) << "the server has not hung up";
  ::close(client);
}

TEST(EchoServer, ServesIPv6) {
  echo_options options;
  options.address = "::1";
  if (const auto why = why_not_free(0, options); !why.empty()) GTEST_SKIP() << why;
  const echo_server server{0, options};
  EXPECT_EQ(server.ask("hi"), "hi");
  EXPECT_THAT(why_not_free(server.port(), options),
              StartsWith("bind [::1]:" + std::to_string(server.port())));
}

}  // namespace
