// SPDX-License-Identifier: BSL-1.0
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <system_error>

#include <gtest/gtest.h>

#include <tidewait/detail/linux/process_info.hpp>

namespace {

using tidewait::detail::open_process;
using tidewait::detail::send_signal;

/// Runs `body` as the first process of a pid namespace of its own. `number` gets the pid of that as
/// this namespace has it. Returns the process to wait for.
pid_t in_a_pid_namespace(int& number, const std::function<int()>& body) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t outer = ::fork();
  if (outer == 0) {
    ::alarm(60);
    const pid_t inner = ::unshare(CLONE_NEWPID) == 0 ? ::fork() : -1;
    if (inner == 0) {
      ::alarm(60);
      ::_exit(body());
    }
    int status = 0;
    if (::write(ends[1], &inner, sizeof inner) < 0 || inner < 0) ::_exit(77);
    ::waitpid(inner, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  ::close(ends[1]);
  EXPECT_EQ(::read(ends[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
  ::close(ends[0]);
  return outer;
}

int exit_code_of(pid_t process) {
  int status = 0;
  ::waitpid(process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Two containers that see the /proc of their host: the number that a process of one has in its
/// own namespace is somebody else's in the other.
TEST(SendSignal, DoesNotReachIntoASiblingPidNamespace) {
  int number = 0;
  const pid_t there = in_a_pid_namespace(number, [] {
    for (;;) ::pause();
    return 0;
  });
  if (number < 0) {
    EXPECT_EQ(exit_code_of(there), 77);
    GTEST_SKIP() << "pid namespaces are denied here";
  }
  int here_number = 0;
  const pid_t here = in_a_pid_namespace(here_number, [number] {
    const auto other = open_process(number);
    const std::error_code error = send_signal(other.get(), 0);
    return error == std::errc::operation_not_permitted ? 0 : 1;
  });
  EXPECT_EQ(exit_code_of(here), 0);
  EXPECT_FALSE(send_signal(open_process(number).get(), SIGKILL)) << "from above it can be reached";
  exit_code_of(there);
}

}  // namespace
