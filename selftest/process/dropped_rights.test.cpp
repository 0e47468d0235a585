// SPDX-License-Identifier: BSL-1.0
//
// Servers that give up their rights, and then do not show their descriptors: as postgres, nginx and
// gosu in a container whose root lacks CAP_SYS_PTRACE.
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "../support/forked.hpp"
#include "bad_server.hpp"

namespace {

using testing::HasSubstr;
using tidewait::server_process;

void become_root_without_ptrace() {
  ::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[2] = {};
  ::syscall(SYS_capget, &header, rights);
  for (std::uint32_t* const set :
       {&rights[0].effective, &rights[0].permitted, &rights[0].inheritable}) {
    *set &= ~(1U << CAP_SYS_PTRACE);
  }
  if (::syscall(SYS_capset, &header, rights) != 0) throw std::runtime_error{"capset"};
}

/// A server as another user, which it becomes before or after it has opened its socket.
std::string python_server(bool early, std::uint16_t port) {
  const std::string become = "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n";
  return "import os, socket, time\n" + (early ? become : "") +
         "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
         "s.bind(('127.0.0.1', " +
         std::to_string(port) + ")); s.listen()\n" + (early ? "" : become) + "time.sleep(1000)\n";
}

TEST(ServerThatDropsItsRights, IsReadyThoughItHasGivenUpItsRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  for (const bool early : {true, false}) {
    forked tester{[early](auto say) {
      become_root_without_ptrace();
      const tidewait::port_lease port = tidewait::lease_port();
      server_process server{"python3", {"-c", python_server(early, port.number())}};
      server.wait_until_listening(port.number(), std::chrono::seconds{30});
      say("ready, " + to_string(server.stop()));
    }};
    EXPECT_THAT(tester.all(), HasSubstr("ready, ")) << early;
  }
}

TEST(ServerThatDropsItsRights, IsEndedThoughItHasLeftItsGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  server_process server{"python3",
                        {"-c",
                         "import os, sys, time\n"
                         "if os.fork(): time.sleep(1000)\n"
                         "os.setsid()\n"
                         "parent = os.getpid()\n"
                         "if os.fork(): os._exit(0)\n"
                         "while os.getppid() == parent: time.sleep(0.001)\n"
                         "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                         "os.environ.clear()\n"
                         "print('pid', os.getpid(), flush=True)\n"
                         "time.sleep(1000)\n"}};
  const int pid = std::stoi(server.wait_for_output("pid ").substr(4));
  const tidewait::server_exit end = server.stop();
  ASSERT_THAT(end.escaped, testing::SizeIs(1));
  EXPECT_EQ(end.escaped[0].pid, pid);
  EXPECT_TRUE(gone(pid));
}

TEST(ServerThatDropsItsRights, IsNotReadyBecauseOfASocketThatWasThereBefore) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const tidewait::port_lease port = tidewait::lease_port();
  server_process stranger{"python3", {"-c", python_server(true, port.number())}};
  stranger.wait_until_listening(port.number(), std::chrono::seconds{30});
  forked tester{[&](auto say) {
    become_root_without_ptrace();
    server_process server{"python3", {"-c", "import os, time\nos.setuid(65534)\ntime.sleep(1000)"}};
    server.wait_until_listening(port.number(), std::chrono::milliseconds{300});
    say(std::string{"ready"});
  }};
  EXPECT_THAT(tester.all(), HasSubstr("belongs to a process that cannot be seen"));
}

}  // namespace
