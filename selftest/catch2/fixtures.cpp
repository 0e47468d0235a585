// SPDX-License-Identifier: BSL-1.0
//
// Tests that use the adapter's fixture, watch and is_free. They are run by catch2.test.cpp.

// Listeners are declared only for who asks, so in Catch2 2 this file has none of its own.
#include "catch.hpp"
//
#include <stdexcept>

#include <tidewait/catch2.hpp>

#include "../support/sockets.hpp"

namespace {

using tidewait::catch2::is_free;

class serving : public tidewait::catch2::fixture {
 protected:
  const tidewait::port_lease port = lease_port();
};

// [tolerates]
class closes_first : public tidewait::catch2::fixture {
 protected:
  closes_first() : fixture{tidewait::policy{}.tolerate(tidewait::socket_state::time_wait)} {}
};
// [tolerates]

/// What one already has: it opens in its constructor, and closes in its destructor if it is tidy.
template <bool Tidy>
struct existing {
  existing() : listener{sockets::listen_on(0)} {}
  ~existing() {
    if (Tidy) ::close(listener);
  }
  int listener;
};

TEST_CASE_METHOD(serving, "fixture tidy") { ::close(sockets::listen_on(port.number())); }
TEST_CASE_METHOD(tidewait::catch2::with_ports<existing<true>>, "with_ports tidy") { CHECK(true); }
/// One that is made of a number, and leaves a TIME_WAIT, which its policy tolerates.
struct made_of_a_number {
  explicit made_of_a_number(int number) : value{number} {}
  int value;
};
struct number_watched : tidewait::catch2::with_ports<made_of_a_number> {
  number_watched() : with_ports{7} {}
};
struct number_tolerated : tidewait::catch2::with_ports<made_of_a_number> {
  number_tolerated()
      : with_ports{tidewait::policy{}.tolerate(tidewait::socket_state::time_wait), 8} {}
};
TEST_CASE_METHOD(number_watched, "with_ports hands arguments on") { CHECK(value == 7); }
TEST_CASE_METHOD(number_tolerated, "with_ports takes a policy before them") {
  const auto ports = lease_block(2);
  CHECK(value == 8);
  sockets::leave_time_wait(ports.at(1).number());
}
TEST_CASE_METHOD(closes_first, "fixture tolerates") {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number());
}

TEST_CASE_METHOD(serving, "fixture", "[leaks]") { sockets::listen_on(port.number()); }
TEST_CASE_METHOD(serving, "fixture sections", "[leaks]") {
  SECTION("tidy") { CHECK(true); }
  SECTION("leaky") { sockets::listen_on(port.number()); }
}
TEST_CASE_METHOD(serving, "fixture throws", "[leaks]") {
  sockets::listen_on(port.number());
  CHECK(true);
  throw std::runtime_error{"thrown by the test"};
}
TEST_CASE_METHOD(serving, "time_wait", "[leaks]") { sockets::leave_time_wait(port.number()); }
TEST_CASE_METHOD(tidewait::catch2::with_ports<existing<false>>, "with_ports", "[leaks]") {
  CHECK(true);
}
// [watch]
TEST_CASE("watch", "[leaks]") {
  const tidewait::catch2::watch watch;
  sockets::listen_on(0);
}
// [watch]
TEST_CASE("watch twice", "[leaks]") {
  const tidewait::catch2::watch outer;
  const tidewait::catch2::watch inner;
  sockets::listen_on(0);
}

TEST_CASE("is_free") {
  const auto port = tidewait::lease_port();
  const tidewait::endpoint local{*tidewait::parse_address("127.0.0.1"), port.number()};
  CHECK(is_free(port));
  CHECK(is_free(port.number()));
  CHECK(is_free(port.number(), tidewait::protocol::udp));
  CHECK(is_free(local));
  const int listener = sockets::listen_on(port.number());
  CHECK_FALSE(is_free(port));
  CHECK_FALSE(is_free(port.number()));
  CHECK_FALSE(is_free(local));
  CHECK(is_free(port.number(), tidewait::protocol::udp));
  ::close(listener);
}
TEST_CASE("is_free fails", "[.]") {
  const auto port = tidewait::lease_port();
  const int listener = sockets::listen_on(port.number());
  CHECK(is_free(port));
  ::close(listener);
}

}  // namespace
