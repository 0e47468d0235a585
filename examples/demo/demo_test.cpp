// SPDX-License-Identifier: BSL-1.0
//
// The cases of `./dev demo`, each a test of a real server. Some fail on purpose: examples/demo/demo
// runs them one by one and checks each verdict.

#include <cstdio>

#include <tidewait/explain_bind.hpp>
#include <tidewait/gtest.hpp>

#include "echo_server.hpp"

namespace {

using tidewait::endpoint;
using tidewait::parse_address;
using tidewait::gtest::is_free;

class Demo : public tidewait::gtest::fixture {
 protected:
  static endpoint at(const char* address, const tidewait::port_lease& port) {
    return {*parse_address(address), port.number()};
  }
};

TEST_F(Demo, CleansUp) {
  const auto port = lease_port();
  echo_server server{port.number()};
  EXPECT_EQ(server.ask("hi"), "hi");
}

TEST_F(Demo, ForgetsItsListener) {
  const auto port = lease_port();
  echo_server server{port.number()};
  EXPECT_EQ(server.ask("hi"), "hi");
  server.leak_listener();
}

TEST_F(Demo, ServerClosesFirst) {
  const auto port = lease_port();
  echo_options options;
  options.close_first = true;
  echo_server server{port.number(), options};
  EXPECT_EQ(server.ask("hi"), "hi");
}

TEST_F(Demo, SecondServerOnTheSameEndpoint) {
  const auto port = lease_port();
  echo_server first{port.number()};
  EXPECT_TRUE(is_free(at("127.0.0.1", port)));
  EXPECT_THROW(echo_server{port.number()}, std::system_error);
}

TEST_F(Demo, WildcardAgainstSpecificAddress) {
  const auto port = lease_port();
  echo_options everywhere;
  everywhere.address = "0.0.0.0";
  echo_server first{port.number(), everywhere};
  EXPECT_TRUE(is_free(at("127.0.0.1", port)));
  EXPECT_THROW(echo_server{port.number()}, std::system_error);
}

TEST_F(Demo, TwoServersOnOnePortWithDifferentAddresses) {
  const auto port = lease_port();
  echo_options elsewhere;
  elsewhere.address = "127.0.0.2";
  echo_server first{port.number()};
  EXPECT_TRUE(is_free(at("127.0.0.2", port)));
  echo_server second{port.number(), elsewhere};
  EXPECT_EQ(first.ask("one"), "one");
  EXPECT_EQ(second.ask("two"), "two");
  const auto [why, seen] = tidewait::explain_bind({tidewait::protocol::tcp, at("127.0.0.3", port)});
  EXPECT_TRUE(why.free());
  std::fputs(render(why, seen).c_str(), stdout);
}

}  // namespace
