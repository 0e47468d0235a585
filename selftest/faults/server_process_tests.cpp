// SPDX-License-Identifier: BSL-1.0
//
// server_process with failing system calls, run by sweep.py: SELFTEST_WRAPPED is the server.

#include <chrono>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>
#include <tidewait/server_process.hpp>

namespace {

using namespace std::chrono_literals;

class Server : public tidewait::gtest::fixture {};

TEST_F(Server, IsStopped) {
  const auto port = lease_port();
  tidewait::server_process server{std::getenv("SELFTEST_WRAPPED"), {"serve", port}};
  server.wait_until_listening(port, 5s);
  EXPECT_TRUE(server.stop().orderly());
}

TEST_F(Server, IsEndedByItsDestructor) {
  const auto port = lease_port();
  tidewait::server_process server{std::getenv("SELFTEST_WRAPPED"), {"serve", port}};
  server.wait_until_listening(port, 5s);
}

TEST_F(Server, CannotBeStarted) { const tidewait::server_process server{"/no/such/server"}; }

/// A server that ends at once and leaves a process that has fled its group.
void leave_a_process(const char* mode) {
  tidewait::server_process server{
      std::getenv("SELFTEST_WRAPPED"), {mode}, tidewait::server_options{}.grace(200ms)};
  const auto give_up = std::chrono::steady_clock::now() + 5s;
  while (server.running() && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(1ms);
  const tidewait::server_exit end = server.stop();
  EXPECT_TRUE(end.orderly());
  EXPECT_EQ(to_string(end), "exit status 0") << "it was ended before it could leave anything";
}

TEST_F(Server, LeavesAProcess) { leave_a_process("escaped"); }
TEST_F(Server, LeavesAStubbornProcess) { leave_a_process("stubborn"); }

}  // namespace
