// SPDX-License-Identifier: BSL-1.0
//
// gtest_blind_subject <restriction>...: tests in an environment in which little can be seen.

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>

#include "../support/sockets.hpp"

namespace {

/// From now on a system call whose argument has this value fails with that error, as under a
/// container's seccomp rules.
bool refuse(unsigned call, unsigned argument, unsigned value, unsigned error) {
  const auto at = static_cast<unsigned>(offsetof(seccomp_data, args) + 8 * argument);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool refuse_sockets(unsigned family, unsigned error) {
  return refuse(SYS_socket, 0, family, error);
}

/// As qemu-user does.
bool refuse_diagnosis_and_cookies() {
  return refuse_sockets(AF_NETLINK, EPROTONOSUPPORT) &&
         refuse(SYS_getsockopt, 2, SO_COOKIE, EINVAL);
}

bool hide_proc() {
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
}

/// A process of root's that listens on the port whose number it is sent.
int send_port = -1;
int listener_is_ready = -1;

void listen_on_demand() {
  int ports[2];
  int answers[2];
  if (::pipe2(ports, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) return;
  if (::fork() == 0) {
    ::close(ports[1]);
    std::uint16_t port = 0;
    if (::read(ports[0], &port, sizeof port) == sizeof port) {
      sockets::listen_on(port);
      if (::write(answers[1], "x", 1) == 1) ::read(ports[0], &port, 1);  // until we have ended
    }
    ::_exit(0);
  }
  ::close(ports[0]);
  ::close(answers[1]);
  send_port = ports[1];
  listener_is_ready = answers[0];
}

/// Another user, to whom /proc does not show the processes of root.
bool hide_others() {
  constexpr uid_t nobody = 65534;
  if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", 0, "hidepid=2") != 0) {
    return false;
  }
  listen_on_demand();
  return ::setgroups(0, nullptr) == 0 && ::setresgid(nobody, nobody, nobody) == 0 &&
         ::setresuid(nobody, nobody, nobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

bool restrict(const std::string& how) {
  if (how == "hidepid") return hide_others();
  if (how == "no-netlink") return refuse_sockets(AF_NETLINK, EPERM);
  if (how == "emulator") return refuse_diagnosis_and_cookies();
  if (how == "no-ipv6") return refuse_sockets(AF_INET6, EAFNOSUPPORT);
  if (how == "no-proc") return hide_proc();
  return false;
}

class Blind : public tidewait::gtest::fixture {};

TEST_F(Blind, LeavesNothing) {
  const auto port = lease_port();
  ::close(sockets::listen_on(port.number()));
  EXPECT_TRUE(tidewait::gtest::is_free(port));
}

TEST_F(Blind, LeavesAListener) {
  const auto port = lease_port();
  sockets::listen_on(port.number());
}

TEST_F(Blind, HasItsPortTakenByAnotherUser) {
  const auto port = lease_port();
  const std::uint16_t number = port.number();
  char ready = 0;
  ASSERT_EQ(::write(send_port, &number, sizeof number), static_cast<ssize_t>(sizeof number));
  ASSERT_EQ(::read(listener_is_ready, &ready, 1), 1);
}

class Emulated : public tidewait::gtest::fixture {};

TEST_F(Emulated, LeavesTimeWaitOnItsNumber) {
  sockets::leave_time_wait(static_cast<std::uint16_t>(std::stoi(std::getenv("PORT"))), false);
}

class OutOfDescriptors : public tidewait::gtest::fixture {
 protected:
  ~OutOfDescriptors() override {
    // The look comes after this: there is not a single descriptor left for it.
    rlimit few{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
};

TEST_F(OutOfDescriptors, CannotLook) {}

class BlindIsSkipped : public tidewait::gtest::fixture {
 protected:
  BlindIsSkipped() : fixture(tidewait::policy{}.on_blind(tidewait::when_blind::skip)) {}
};

TEST_F(BlindIsSkipped, LeavesNothing) {}
TEST_F(BlindIsSkipped, LeavesNothingEither) {}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (!restrict(argv[i])) {
      std::printf("not permitted here: %s\n", argv[i]);
      return 42;
    }
  }
  return RUN_ALL_TESTS();
}
