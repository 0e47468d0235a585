// SPDX-License-Identifier: BSL-1.0
//
// Leases of this process and of others.

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/tidewait.hpp>

#include "child.hpp"
#include "sockets.hpp"

namespace {

using testing::Each;
using testing::HasSubstr;

std::set<int> numbers_in(const std::string& line) {
  std::istringstream text{line};
  std::set<int> numbers;
  for (int number = 0; text >> number;) numbers.insert(number);
  return numbers;
}

TEST(WindowsLease, GivesEachPortToOneOfSeveralProcesses) {
  child first{"subject_server.exe", "lease 20"};
  child second{"subject_server.exe", "lease 20"};
  std::set<int> all = numbers_in(first.read_line());
  all.merge(numbers_in(second.read_line()));
  const auto ours = tidewait::lease_ports(20);
  for (const tidewait::port_lease& each : ours) all.insert(each.number());
  EXPECT_EQ(all.size(), 60U);
  for (const int port : all) {
    EXPECT_GE(port, 1024);
    EXPECT_LT(port, 49152);  // outside the dynamic range
  }
}

TEST(WindowsLease, IsOverWithItsProcessHoweverThatEnds) {
  namespace detail = tidewait::detail;
  child holder{"subject_server.exe", "lease 1"};
  const auto port = static_cast<std::uint16_t>(*numbers_in(holder.read_line()).begin());
  EXPECT_EQ(detail::lock_holder(tidewait::protocol::tcp, port), holder.pid());
  detail::kept_fd lock;
  EXPECT_EQ(detail::lock_port(tidewait::protocol::tcp, port, lock), std::errc::address_in_use);
  holder.kill();
  EXPECT_EQ(detail::lock_holder(tidewait::protocol::tcp, port), std::nullopt);
  EXPECT_FALSE(detail::lock_port(tidewait::protocol::tcp, port, lock));
}

TEST(WindowsLease, PassesOverPortsThatAreTaken) {
  const auto leases = tidewait::lease_block(3);
  EXPECT_EQ(leases[1].number(), leases[0].number() + 1);
  EXPECT_EQ(leases[2].number(), leases[0].number() + 2);
  for (const tidewait::port_lease& each : leases)
    EXPECT_FALSE(tidewait::probe_port(tidewait::protocol::tcp, each.number()));
}

TEST(WindowsLease, IsHandedOnByAHandleThatAChildInherits) {
  std::uint16_t port = 0;
  HANDLE copy = nullptr;
  {
    const tidewait::port_lease lease = tidewait::lease_port();
    port = lease.number();
    ASSERT_EQ(lease.lock_descriptors().size(), 1U);
    const auto lock = reinterpret_cast<HANDLE>(lease.lock_descriptors().front());
    DWORD flags = HANDLE_FLAG_INHERIT;
    ::GetHandleInformation(lock, &flags);
    EXPECT_EQ(flags & HANDLE_FLAG_INHERIT, 0U);
    ASSERT_NE(::DuplicateHandle(::GetCurrentProcess(), lock, ::GetCurrentProcess(), &copy, 0, FALSE,
                                DUPLICATE_SAME_ACCESS),
              0);
  }
  EXPECT_NE(tidewait::detail::lock_holder(tidewait::protocol::tcp, port), std::nullopt);
  ::CloseHandle(copy);
  EXPECT_EQ(tidewait::detail::lock_holder(tidewait::protocol::tcp, port), std::nullopt);
}

TEST(WindowsLease, SaysThatAPortCannotBeHeld) {
  tidewait::port_lease lease = tidewait::lease_port();
  try {
    lease.hold();
    FAIL() << "it was held";
  } catch (const tidewait::lease_error& error) {
    EXPECT_EQ(error.code(), std::errc::operation_not_supported);
    EXPECT_THAT(error.what(), HasSubstr("hand the server a bound socket instead"));
  }
  EXPECT_FALSE(lease.held());
}

TEST(WindowsLease, ALockThatTheProgramClosedIsTakenAgain) {
  tidewait::watch watch;
  const tidewait::port_lease lease = tidewait::lease_port();
  ::CloseHandle(reinterpret_cast<HANDLE>(lease.lock_descriptors().front()));
  const tidewait::report found = watch.look();
  EXPECT_THAT(found.notes, testing::Contains(HasSubstr("was closed and has been taken again")));
  EXPECT_EQ(tidewait::detail::lock_holder(tidewait::protocol::tcp, lease.number()),
            static_cast<int>(::GetCurrentProcessId()));
}

}  // namespace
