// SPDX-License-Identifier: BSL-1.0
//
// Tests that use the adapter's fixture, watch and matcher. They are run by catch2.test.cpp.

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

TEST_CASE("matcher") {
  const auto port = tidewait::lease_port();
  const tidewait::endpoint local{*tidewait::parse_address("127.0.0.1"), port.number()};
  CHECK_THAT(port, is_free());
  CHECK_THAT(port.number(), is_free());
  CHECK_THAT(port.number(), is_free(tidewait::protocol::udp));
  CHECK_THAT(local, is_free());
  const int listener = sockets::listen_on(port.number());
  CHECK_THAT(port, !is_free());
  CHECK_FALSE(is_free().match(port.number()));
  CHECK_FALSE(is_free().match(local));
  CHECK(is_free(tidewait::protocol::udp).match(port.number()));
  ::close(listener);
}
TEST_CASE("matcher fails", "[.]") {
  const auto port = tidewait::lease_port();
  const int listener = sockets::listen_on(port.number());
  CHECK_THAT(port, is_free());
  ::close(listener);
}

}  // namespace
