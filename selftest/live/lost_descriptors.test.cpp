// SPDX-License-Identifier: BSL-1.0
//
// The program under test closes descriptors that are tidewait's: close_range(2), closefrom(3), the
// loop of a daemon.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tidewait::port_lease;
using tidewait::protocol;
using tidewait::protocol_set;
using tidewait::watch;
using tidewait::detail::unique_fd;

void close_everything() { ::syscall(SYS_close_range, 3U, ~0U, 0U); }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

/// What `work` returns in a child whose descriptors from 3 on are its own to close.
template <typename Work>
std::string in_child(Work work) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    close_everything();
    const std::string text = work();
    _exit(::write(STDERR_FILENO, text.data(), text.size()) < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::string all;
  char some[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], some, sizeof some)) > 0;)
    all.append(some, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return all;
}

/// Whether another process could lease the port.
bool is_locked(protocol which, std::uint16_t port) {
  unique_fd lock;
  return tidewait::detail::lock_port(which, port, lock) == std::errc::address_in_use;
}

class LostLock : public testing::TestWithParam<protocol_set> {};

TEST_P(LostLock, IsTakenAgainAndSaid) {
  const std::string said = in_child([&] {
    const port_lease port = tidewait::lease_port(GetParam());
    watch test{{}, "Test"};
    close_everything();
    const bool lost =
        !is_locked(protocol::tcp, port.number()) && !is_locked(protocol::udp, port.number());
    std::string text = lost ? "lost, " : "kept, ";
    const tidewait::report found = test.look();
    for (const protocol which : {protocol::tcp, protocol::udp}) {
      const bool wanted = includes(GetParam(), which);
      if (is_locked(which, port.number()) != wanted) text += "not as leased, ";
    }
    return text + (found.clean() ? "clean\n" : "not clean\n") + render(found) +
           "again:" + render(test.look());
  });
  EXPECT_THAT(said, AllOf(StartsWith("lost, clean\n  note: the lock of port "),
                          HasSubstr("lost_descriptors.test.cpp:"), HasSubstr("close_range")));
  EXPECT_EQ(said.substr(said.find("again:")), "again:");
}

INSTANTIATE_TEST_SUITE_P(Kinds, LostLock,
                         testing::Values(protocol_set::tcp, protocol_set::udp,
                                         protocol_set::tcp_and_udp));

TEST(LostLock, ThatSomebodyElseHasNowFailsTheTest) {
  const std::string said = in_child([] {
    const port_lease port = tidewait::lease_port();
    watch test{{}, "Test"};
    close_everything();
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return std::string{"no pipe"};
    const pid_t other = ::fork();
    if (other == 0) {
      ::close(ready[0]);
      unique_fd lock;
      tidewait::detail::lock_port(protocol::tcp, port.number(), lock);
      if (::write(ready[1], "", 1) == 1) ::pause();
      ::_exit(0);
    }
    ::close(ready[1]);
    char byte = 0;
    const bool taken = ::read(ready[0], &byte, 1) == 1;
    const tidewait::report found = test.look();
    ::kill(other, SIGKILL);
    ::waitpid(other, nullptr, 0);
    return (taken && !found.clean() ? "fails\n" : "passes\n") + render(found);
  });
  EXPECT_THAT(said, StartsWith("fails\ntidewait: Test: the lock of port "));
  EXPECT_THAT(said, HasSubstr("two tests may use it at once"));
}

TEST(LostLock, IsNotedAtTheEndOfTheLeaseWhichClosesNobodysDescriptor) {
  const std::string said = in_child([] {
    watch test{{}, "Test"};
    int mine = -1;
    int files = 0;
    {
      port_lease port = tidewait::lease_port(protocol_set::tcp);
      port.hold();
      const int highest = port.lock_descriptors().back();
      close_everything();
      // The numbers are the test's now.
      while ((mine = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && mine <= highest) ++files;
    }
    bool open = files > 0;
    for (int fd = mine - files; fd <= mine; ++fd) open = open && is_open(fd);
    return (open ? "open\n" : "closed\n") + render(test.look());
  });
  EXPECT_THAT(said, AllOf(StartsWith("open\n"), HasSubstr("the lock of port "),
                          HasSubstr("the hold of port ")));
}

TEST(LostLock, OfAPortThatIsStillBusyIsKeptAfterTheLease) {
  const std::string said = in_child([] {
    std::uint16_t number = 0;
    watch test{{}, "Test"};
    {
      const port_lease port = tidewait::lease_port();
      number = port.number();
      close_everything();
      sockets::listen_on(number);
    }
    return std::string{is_locked(protocol::tcp, number) ? "locked " : "free "} +
           (test.look().clean() ? "clean" : "leak");
  });
  EXPECT_EQ(said, "locked leak");
}

TEST(LostHold, IsHeldNoMore) {
  const std::string said = in_child([] {
    port_lease port = tidewait::lease_port();
    port.hold();
    close_everything();
    std::string text = port.held() ? "held " : "not held ";
    port.hold();
    text += port.held() ? "held again" : "lost for good";
    return text;
  });
  EXPECT_EQ(said, "not held held again");
}

TEST(LostMark, IsPutOnAgainAndSaid) {
  const std::string said = in_child([] {
    watch test{{}, "Test"};
    close_everything();
    const int mine = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 512);
    const std::string text = render(test.look());
    const bool again = !tidewait::detail::renew_run_mark();
    return (again && is_open(mine) ? "again\n" : "lost\n") + text;
  });
  EXPECT_THAT(said, AllOf(StartsWith("again\n"), HasSubstr("the memfd that marks the children")));
}

TEST(LostLock, IsNoneOfALeaseThatEnds) {
  const std::string said = in_child([] {
    watch test{{}, "Test"};
    { const port_lease port = tidewait::lease_port(protocol_set::tcp_and_udp); }
    port_lease held = tidewait::lease_port();
    held.hold();
    held.release_hold();
    return "-" + render(test.look());
  });
  EXPECT_EQ(said, "-");
}

}  // namespace
