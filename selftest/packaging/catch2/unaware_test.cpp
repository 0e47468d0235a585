// SPDX-License-Identifier: BSL-1.0
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#if __has_include(<catch_amalgamated.hpp>)
#include <catch_amalgamated.hpp>
#elif __has_include(<catch.hpp>)
#include <catch.hpp>
#elif __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace {

int listener() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  return fd;
}

TEST_CASE("a listener is closed", "[tidy]") { ::close(listener()); }

TEST_CASE("a listener is forgotten", "[untidy]") { listener(); }

TEST_CASE("a listener is forgotten, and tolerated", "[tolerated]") { listener(); }

}  // namespace
