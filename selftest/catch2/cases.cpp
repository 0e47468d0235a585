// SPDX-License-Identifier: BSL-1.0
//
// Tests that know nothing of tidewait and, as their names say, leave a listener. They are run by
// catch2.test.cpp.

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "../support/sockets.hpp"
#include "catch.hpp"

namespace {

void leave_listener() { sockets::listen_on(0); }
void use_listener() { ::close(sockets::listen_on(0)); }

struct existing_fixture {
  ~existing_fixture() { leave_listener(); }
};

TEST_CASE("tidy") {
  use_listener();
  CHECK(true);
}
TEST_CASE("tidy sections") {
  const int listener = sockets::listen_on(0);
  SECTION("first") { CHECK(true); }
  SECTION("second") { CHECK(true); }
  ::close(listener);
}

TEST_CASE("leaves a listener", "[leaks]") {
  leave_listener();
  CHECK(true);
}
TEST_CASE("leaves a Unix socket", "[leaks]") {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  const std::string name = "selftest-catch2-" + std::to_string(::getpid());
  name.copy(where.sun_path + 1, name.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
  CHECK(::listen(listener, 1) == 0);
}
TEST_CASE("without assertions", "[leaks]") { leave_listener(); }
TEST_CASE("sections", "[leaks]") {
  SECTION("tidy") { use_listener(); }
  SECTION("outer") {
    SECTION("inner") { leave_listener(); }
    SECTION("sibling") { use_listener(); }
  }
  SECTION("last") { leave_listener(); }
}
TEST_CASE("generator", "[leaks]") {
  const int value = GENERATE(1, 2, 3);
  SECTION("section") {
    if (value != 3) leave_listener();
  }
}
SCENARIO("story", "[leaks]") {
  GIVEN("a server") {
    WHEN("it is asked") {
      THEN("it answers") { leave_listener(); }
    }
  }
}
TEMPLATE_TEST_CASE("template", "[leaks]", int, char) {
  if (sizeof(TestType) == sizeof(int)) leave_listener();
}
TEST_CASE_METHOD(existing_fixture, "method", "[leaks]") { CHECK(true); }
TEST_CASE("requires", "[leaks]") {
  SECTION("section") {
    leave_listener();
    REQUIRE(1 == 2);
  }
}
TEST_CASE("throws", "[leaks]") {
  SECTION("section") {
    leave_listener();
    throw std::runtime_error{"thrown by the test"};
  }
}
TEST_CASE("may fail", "[leaks][!mayfail]") {
  leave_listener();
  CHECK(true);
}
TEST_CASE("should fail and does", "[leaks][!shouldfail]") {
  leave_listener();
  CHECK(false);
}
TEST_CASE("should fail and does not", "[leaks][!shouldfail]") {
  leave_listener();
  CHECK(true);
}

TEST_CASE("is terminated", "[.]") {
  SECTION("section") {
    leave_listener();
    std::raise(SIGTERM);
  }
}
TEST_CASE("forks a child that exits", "[.]") {
  leave_listener();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) std::exit(0);
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}
#if CATCH_VERSION_MAJOR >= 3
TEST_CASE("skips", "[.]") {
  leave_listener();
  SKIP("for no reason");
}
#endif
#ifdef TEST_CASE_PERSISTENT_FIXTURE
struct persistent {
  persistent() { leave_listener(); }
};
TEST_CASE_PERSISTENT_FIXTURE(persistent, "persistent fixture", "[.]") {
  SECTION("first") { CHECK(true); }
  SECTION("second") { CHECK(true); }
}
#endif

}  // namespace
