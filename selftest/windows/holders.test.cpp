// SPDX-License-Identifier: BSL-1.0
//
// The table goes on to name the process that made a socket when that has ended and a child has it.

#include <limits>

#include <gmock/gmock.h>

#include <tidewait/detail/windows/read_sockets.hpp>

#include "child.hpp"
#include "processes.hpp"

namespace {

using tidewait::detail::life_of;
using tidewait::detail::start_of_process;

constexpr std::uint64_t not_known = 0;

bool may_hold_since(std::uint32_t pid, std::uint64_t made) {
  return tidewait::detail::may_hold_since(pid, life_of(pid), made);
}

std::uint32_t own_pid() { return ::GetCurrentProcessId(); }

TEST(WindowsHolder, IsAProcessThatLives) {
  child server{"subject_server.exe", "listen"};
  server.read_line();
  const auto pid = static_cast<std::uint32_t>(server.pid());
  EXPECT_TRUE(may_hold_since(pid, not_known));
  EXPECT_TRUE(may_hold_since(pid, start_of_process(pid)));
  EXPECT_TRUE(may_hold_since(pid, std::numeric_limits<std::uint64_t>::max()));
  EXPECT_TRUE(may_hold_since(own_pid(), not_known));
}

TEST(WindowsHolder, IsNotAProcessThatWasStartedAfterTheSocketWasMade) {
  child server{"subject_server.exe", "listen"};
  server.read_line();
  const auto pid = static_cast<std::uint32_t>(server.pid());
  EXPECT_FALSE(may_hold_since(pid, start_of_process(pid) - 1));
  EXPECT_TRUE(may_hold_since(own_pid(), 1)) << "a clock that was set back accuses nobody";
}

TEST(WindowsHolder, IsNotAProcessThatHasEnded) {
  child server{"subject_server.exe", "listen"};
  server.read_line();
  const auto pid = static_cast<std::uint32_t>(server.pid());
  server.end_input();
  server.read_all();
  for (int i = 0; may_hold_since(pid, not_known) && i < 3000; ++i) ::Sleep(10);
  EXPECT_FALSE(may_hold_since(pid, not_known)) << "its handle is still open";
}

TEST(WindowsHolder, IsNobodyWhereTheNumberIsNoProcess) {
  EXPECT_FALSE(may_hold_since(0x7ffffff0U, not_known));
}

TEST(WindowsServices, AreVisibleToAnAdministrator) {
  EXPECT_TRUE(tidewait::detail::services_are_visible());
}

}  // namespace
