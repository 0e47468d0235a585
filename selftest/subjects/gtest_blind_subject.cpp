// SPDX-License-Identifier: BSL-1.0
//
// gtest_blind_subject <restriction>...: tests in an environment in which little can be seen.

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/gtest.hpp>

#include "../support/loopback.hpp"

namespace {

/// From now on socket() of this family fails with that error, as under a container's seccomp rules.
bool refuse_sockets(unsigned family, unsigned error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool hide_proc() {
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
}

bool restrict(const std::string& how) {
  if (how == "no-netlink") return refuse_sockets(AF_NETLINK, EPERM);
  if (how == "no-ipv6") return refuse_sockets(AF_INET6, EAFNOSUPPORT);
  if (how == "no-proc") return hide_proc();
  return false;
}

class Blind : public tidewait::gtest::fixture {};

TEST_F(Blind, LeavesNothing) {
  const auto port = lease_port();
  ::close(loopback::listen_on(port.number()));
  EXPECT_TRUE(tidewait::gtest::is_free(port));
}

TEST_F(Blind, LeavesAListener) {
  const auto port = lease_port();
  loopback::listen_on(port.number());
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
