// SPDX-License-Identifier: BSL-1.0
//
// Tests that leave something behind on purpose: selftest/adapters runs them one by one.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/waiting_call.hpp>
#include <tidewait/gtest.hpp>
#include <tidewait/socket_table.hpp>

#include "../support/sockets.hpp"

namespace {

class Subject : public tidewait::gtest::fixture {};

TEST_F(Subject, LeavesNothing) {
  const auto port = lease_port();
  ::close(sockets::listen_on(port.number()));
}

TEST_F(Subject, LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

TEST_F(Subject, LeavesTimeWait) {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number());
}

TEST_F(Subject, LeavesTimeWaitOfAListenerWithoutReuse) {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number(), false);
}

TEST_F(Subject, LeavesABoundSocket) {
  const auto port = lease_port();
  sockets::bind_to(port.number());
}

TEST_F(Subject, LeavesAUdpSocket) {
  const auto port = lease_port(tidewait::protocol_set::udp);
  sockets::bind_to(port.number(), SOCK_DGRAM);
}

TEST_F(Subject, LeavesAConnection) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number());
  sockets::connection(listener, port.number());
  ::close(listener);
}

TEST_F(Subject, LeavesManyTimeWaits) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number());
  for (int i = 0; i < 100; ++i) {
    const auto [client, server] = sockets::connection(listener, port.number());
    ::close(server);
    ::close(client);
  }
  ::close(listener);
}

TEST_F(Subject, LeavesAListenerThatWasClosedUnderAccept) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number());
  std::thread{[listener] { ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); }}.detach();
  // The thread has to be in accept() before the descriptor goes.
  while (!tidewait::detail::any_thread_waits_for(listener)) ::usleep(1000);
  ::close(listener);
}

TEST_F(Subject, FailsAndLeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
  FAIL() << "the test's own failure";
}

TEST_F(Subject, ThrowsAndLeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
  throw std::runtime_error{"the test's own exception"};
}

TEST_F(Subject, SkipsAndLeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
  GTEST_SKIP() << "the test's own skip";
}

TEST_F(Subject, DISABLED_LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

TEST_F(Subject, LooksInTheMiddle) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number());
  EXPECT_TRUE(tidewait::gtest::is_free(port));
  ::close(listener);
  EXPECT_TRUE(tidewait::gtest::is_free(port));
}

TEST_F(Subject, ForksAChildThatRunsItsDestructors) {
  const auto port = lease_port();
  const pid_t child = ::fork();
  if (child == 0) {
    // The child leaves as a fork often does: through the destructors of what it has copied.
    sockets::listen_on(port.number());
    return;
  }
  ::waitpid(child, nullptr, 0);
}

TEST_F(Subject, IsLeftByAForkedChild) {
  const auto port = lease_port();
  const int listener = sockets::listen_on(port.number());
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  if (::fork() == 0) {
    ::close(ready[0]);
    // Ends with the subject, whose end of the pipe is the last to close.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::write(ready[1], "", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(listener);
}

class LeavesInSetUp : public tidewait::gtest::fixture {
 protected:
  void SetUp() override { sockets::listen_on(lease_.number()); }
  tidewait::port_lease lease_ = lease_port();
};

TEST_F(LeavesInSetUp, AListener) {}

class LeavesInTearDown : public tidewait::gtest::fixture {
 protected:
  // Without a call of the base: the look does not depend on it.
  void TearDown() override { sockets::listen_on(lease_.number()); }
  tidewait::port_lease lease_ = lease_port();
};

TEST_F(LeavesInTearDown, AListener) {}

class HasAServerAsAMember : public tidewait::gtest::fixture {
 protected:
  struct server {
    int fd = -1;
    ~server() { ::close(fd); }
  };
  server server_;
};

TEST_F(HasAServerAsAMember, WhichOutlivesTheLease) {
  const auto port = lease_port();
  server_.fd = sockets::listen_on(port.number());
}

class Existing : public testing::Test {
 protected:
  ~Existing() override { ::close(listener_); }
  int listener_ = -1;
};

/// One that is made of a number.
class OfANumber : public testing::Test {
 protected:
  explicit OfANumber(int number) : value_{number} {}
  int value_;
};
class NumberWatched : public tidewait::gtest::with_ports<OfANumber> {
 protected:
  NumberWatched() : with_ports{7} {}
};
class NumberTolerated : public tidewait::gtest::with_ports<OfANumber> {
 protected:
  NumberTolerated() : with_ports{tidewait::policy{}.tolerate(tidewait::socket_state::listen), 8} {}
};

TEST_F(NumberWatched, HandsArgumentsOn) { EXPECT_EQ(value_, 7); }

TEST_F(NumberTolerated, TakesAPolicyBeforeThem) {
  const auto ports = lease_block(2);
  EXPECT_EQ(value_, 8);
  sockets::listen_on(ports.at(1).number());
}

// [watch]
TEST(Watch, LeavesAListener) {
  const tidewait::gtest::watch watch;
  sockets::listen_on(0);
}
// [watch]

TEST(Watch, ClosesBeforeItIsDestroyed) {
  const tidewait::gtest::watch watch;
  ::close(sockets::listen_on(0));
}

TEST(Watch, ReportsAlsoWhenAnAssertionEndsTheTest) {
  const tidewait::gtest::watch watch;
  sockets::listen_on(0);
  ASSERT_TRUE(false) << "the test's own failure";
}

using WithPorts = tidewait::gtest::with_ports<Existing>;

TEST_F(WithPorts, ClosesInTheExistingDestructor) {
  const auto port = lease_port();
  listener_ = sockets::listen_on(port.number());
}

TEST_F(WithPorts, LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

// [tolerant]
class Tolerant : public tidewait::gtest::fixture {
 protected:
  Tolerant() : fixture(tidewait::policy{}.tolerate(tidewait::socket_state::time_wait)) {}
};
// [tolerant]

TEST_F(Tolerant, LeavesTimeWait) {
  const auto port = lease_port();
  sockets::leave_time_wait(port.number());
}

TEST_F(Tolerant, LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

template <typename T>
class Typed : public tidewait::gtest::fixture {};
TYPED_TEST_SUITE(Typed, ::testing::Types<int>, );  // the comma: for -Wpedantic of Clang

TYPED_TEST(Typed, LeavesAListener) {
  const auto port = this->lease_port();
  sockets::listen_on(port.number());
}

class Parameterised : public tidewait::gtest::fixture, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Each, Parameterised, testing::Bool());

TEST_P(Parameterised, LeavesAListenerIfTrue) {
  const auto port = lease_port();
  if (GetParam()) sockets::listen_on(port.number());
}

class Death : public tidewait::gtest::fixture {};

TEST_F(Death, TestsAreNotJudgedInTheChild) {
  const auto port = lease_port();
  EXPECT_DEATH(
      {
        sockets::listen_on(port.number());
        std::abort();
      },
      "");
}

/// A server that nobody here wrote.
class Python : public tidewait::gtest::fixture {
 protected:
  /// Starts `python3 -m http.server` and waits until it listens. It ends with the subject at the
  /// latest.
  static pid_t serve(const tidewait::port_lease& port) {
    const std::string number = std::to_string(port.number());
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::freopen("/dev/null", "w", stderr);
      ::execlp("python3", "python3", "-m", "http.server", "--bind", "127.0.0.1", number.c_str(),
               nullptr);
      ::_exit(127);
    }
    tidewait::socket_query query;
    query.udp = false;
    query.states = tidewait::socket_state::listen;
    query.ports = {port.number()};
    while (tidewait::socket_table::current(query).sockets.empty()) {
      if (::waitpid(child, nullptr, WNOHANG) == child)
        throw std::runtime_error{"python3 did not start"};
      ::usleep(5000);
    }
    return child;
  }
};

TEST_F(Python, IsStopped) {
  const auto port = lease_port();
  const pid_t child = serve(port);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(Python, IsLeftRunning) {
  const auto port = lease_port();
  serve(port);
}

}  // namespace
