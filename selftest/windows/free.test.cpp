// SPDX-License-Identifier: BSL-1.0
//
// `tidewait free` ends what holds a port.

#include <string>

#include <gmock/gmock.h>

#include <tidewait/tidewait.hpp>

#include "child.hpp"
#include "sockets.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string title_of(const child& server) {
  return "pid " + std::to_string(server.pid()) + " (subject_server.exe)";
}

TEST(WindowsFree, EndsTheHolderAndConfirmsThatThePortIsFree) {
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const outcome freed = tidewait_with("free --yes 127.0.0.1:" + port);
  EXPECT_EQ(freed.exit_code, 0) << freed.output;
  EXPECT_THAT(freed.output, AllOf(HasSubstr("1 process holds 127.0.0.1:" + port),
                                  HasSubstr(title_of(server) + "  LISTEN 127.0.0.1:" + port),
                                  HasSubstr("ended " + title_of(server)), HasSubstr("is free")));
  EXPECT_EQ(server.exit_code(), 1);
}

TEST(WindowsFree, EndsNobodyUnasked) {
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const outcome asked = tidewait_with("free " + port);
  EXPECT_EQ(asked.exit_code, 2) << asked.output;
  EXPECT_THAT(asked.output, HasSubstr("there is no terminal to ask on: give --yes"));
  server.end_input();
  EXPECT_EQ(server.exit_code(), 0);
}

TEST(WindowsFree, SparesWhatStartedIt) {
  const tidewait::port_lease port = tidewait::lease_port();
  const sockets::owned_socket ours = sockets::listening(port.number());
  const outcome spared = tidewait_with("free --yes " + std::to_string(port.number()));
  EXPECT_EQ(spared.exit_code, 1) << spared.output;
  EXPECT_THAT(spared.output, AllOf(HasSubstr("not ended: it is this command or has started it"),
                                   HasSubstr("nothing was ended")));
}

TEST(WindowsFree, LeavesAFreePortAlone) {
  const tidewait::port_lease port = tidewait::lease_port();
  const outcome free = tidewait_with("free --yes " + std::to_string(port.number()));
  EXPECT_EQ(free.exit_code, 0) << free.output;
  EXPECT_THAT(free.output, HasSubstr("is free"));
}

TEST(WindowsFree, SaysInJsonWhatItDid) {
  child server{"subject_server.exe", "listen"};
  const std::string port = server.read_line();
  const outcome freed = tidewait_with("free --yes --json " + port);
  EXPECT_EQ(freed.exit_code, 0) << freed.output;
  EXPECT_THAT(freed.output, AllOf(HasSubstr("\"pid\": " + std::to_string(server.pid())),
                                  HasSubstr("\"result\": \"ended\""), HasSubstr("\"free\": true")));
}

}  // namespace
