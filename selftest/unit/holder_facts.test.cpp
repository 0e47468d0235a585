// SPDX-License-Identifier: BSL-1.0
#include <fcntl.h>

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/cgroup.hpp>
#include <tidewait/detail/linux/ctest_sibling.hpp>
#include <tidewait/detail/linux/holder_facts.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/restrictions.hpp>

#include "swapped_system.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::detail::active_restrictions;
using tidewait::detail::any_group_joined;
using tidewait::detail::parse_unit;

TEST(Unit, IsTheInnermostUnitOrContainerOfTheCgroup) {
  const std::string id(64, 'a');
  const struct {
    std::string cgroup;
    const char* unit;
  } table[] = {
      {"", ""},
      {"0::/\n", ""},
      {"0::/init.scope\n", ""},
      {"0::/user.slice/user-1000.slice/session-3.scope\n", ""},
      {"0::/system.slice/nginx.service\n", "nginx.service"},
      {"0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service"},
      {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-code-1.scope\n",
       "user unit app-code-1.scope"},
      {"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", ""},
      {"0::/system.slice/docker-" + id + ".scope\n", "docker container aaaaaaaaaaaa"},
      {"12:devices:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n0::/\n",
       "docker container aaaaaaaaaaaa"},
      {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope\n",
       "podman container aaaaaaaaaaaa"},
      {"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n",
       "container aaaaaaaaaaaa"},
      {"0::/lxc.payload.web/system.slice/nginx.service\n", "nginx.service"},
      {"0::/lxc.payload.web\n", "LXC container web"},
      {"0::/../../system.slice/a\x1b[2Jb.service\n", "a?[2Jb.service"},
      {"no colon\n", ""},
  };
  for (const auto& row : table) EXPECT_EQ(parse_unit(row.cgroup), row.unit) << row.cgroup;
}

TEST(Restrictions, NameWhatIsActive) {
  active_restrictions active;
  EXPECT_THAT(describe(active), IsEmpty());
  active.label = "unconfined";
  EXPECT_THAT(describe(active), IsEmpty());
  active.landlock_ports = true;
  EXPECT_THAT(describe(active), ElementsAre("Landlock"));
  active.label = "docker-default (enforce)";
  active.seccomp = true;
  EXPECT_THAT(describe(active), ElementsAre("AppArmor (docker-default)", "seccomp"));
  active.wsl = true;
  EXPECT_THAT(describe(active), ElementsAre("AppArmor (docker-default)", "seccomp", "WSL"));
  active.wsl = false;
  active.no_new_privs = true;
  active.label = "system_u:system_r:container_t:s0:c1,c2";
  EXPECT_THAT(describe(active), ElementsAre("SELinux (system_u:system_r:container_t:s0:c1,c2)",
                                            "seccomp", "Landlock"));
}

TEST(Status, SaysThatACoreDumpIsBeingWritten) {
  using tidewait::detail::parse_process_status;
  EXPECT_TRUE(parse_process_status("State:\tD (disk sleep)\nCoreDumping:\t1\n").dumps_core);
  EXPECT_FALSE(parse_process_status("State:\tS (sleeping)\nCoreDumping:\t0\n").dumps_core);
}

TEST(Multicast, IsAGroupThatTheSystemDoesNotJoinByItself) {
  const std::string v4 =
      "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
      "1\tlo        :     1      V3\n"
      "\t\t\t\t010000E0     1 0:00000000\t\t0\n";
  const std::string v6 =
      "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
      "2    eth0            ff0200000000000000000001ff123456     1 00000004 0\n";
  EXPECT_FALSE(any_group_joined("", "", 5000));
  EXPECT_FALSE(any_group_joined(v4, v6, 5000));
  EXPECT_FALSE(any_group_joined(
      v4 + "\t\t\t\t6A0000E0     1 0:00000000\t\t0\n",
      v6 + "3    docker0         ff02000000000000000000000000006a     1 00000004 0\n"
           "3    docker0         ff020000000000000000000000000002     1 00000004 0\n",
      5000))
      << "of a bridge and of a router";
  EXPECT_TRUE(any_group_joined(v4 + "\t\t\t\t030201E1     1 0:00000000\t\t0\n", v6, 5000));
  EXPECT_TRUE(any_group_joined(
      v4, v6 + "1    lo              ff150000000000000000000000001234     1 00000004 0\n", 5000));
  const std::string mdns = v4 + "\t\t\t\tFB0000E0     1 0:00000000\t\t0\n";
  EXPECT_FALSE(any_group_joined(mdns, v6, 5000)) << "of avahi";
  EXPECT_TRUE(any_group_joined(mdns, v6, 5353));
}

int opened = 0;  // the directory of process 50

int count_and_open(int directory, const char* path, int flags, ...) {
  constexpr std::string_view server = "/50";
  const std::string_view name = path;
  if (name.size() > server.size() && name.substr(name.size() - server.size()) == server) ++opened;
  return ::openat(directory, path, flags);
}

TEST(Holders, AreAskedOnceHoweverManySocketsTheyHold) {
  const proc_tree tree;
  tree.process(20, 1, "make", {});
  tree.process(50, 20, "server", {});
  tree.file("50/cgroup", "0::/system.slice/web.service\n");
  tree.process(60, 50, "worker", {});
  const auto held_by = [](std::initializer_list<int> pids, int fd) {
    tidewait::observed_socket socket;
    for (const int pid : pids) {
      tidewait::process owner;
      owner.pid = pid;
      owner.fds = {fd};
      socket.owners.push_back(owner);
    }
    return socket;
  };
  std::vector<tidewait::observed_socket> sockets;
  for (int fd = 3; fd < 103; ++fd) sockets.push_back(held_by({50}, fd));
  for (int fd = 3; fd < 103; ++fd) sockets.push_back(held_by({50, 60}, fd));
  tidewait::detail::sys.openat = count_and_open;
  opened = 0;
  tidewait::detail::describe_holders(sockets);
  EXPECT_GT(opened, 0);
  EXPECT_LT(opened, 10) << "for 200 sockets";
  for (const auto& each : sockets) {
    EXPECT_EQ(each.owners[0].unit, "web.service");
    EXPECT_EQ(each.owners[0].parent, "pid 20 (make)");
    if (each.owners.size() == 2) {
      EXPECT_EQ(each.owners[1].parent, "") << "its parent holds the socket as well";
    }
  }
}

TEST(Siblings, AreTheOtherTestsOfTheSameCtest) {
  using namespace std::string_literals;
  const proc_tree tree;
  tree.process(5, 1, "ctest", {});
  tree.process(10, 5, "ctest", {});
  tree.process(20, 10, "net_tests", {});
  tree.process(21, 20, "server", {});
  tree.process(30, 10, "net_tests", {});
  tree.file("30/cmdline", "/build/net_tests\0--gtest_filter=Chat.Replies/1\0"s);
  tree.process(31, 30, "sh", {});
  tree.process(32, 31, "server", {});
  tree.process(40, 10, "catch_tests", {});
  tree.file("40/cmdline", "./catch_tests\0a client, that waits\0"s);
  tree.process(50, 5, "net_tests", {});
  tree.process(60, 1, "redis-server", {});
  const tidewait::detail::ctest_siblings siblings{{21, 20, 10, 5, 1}};
  EXPECT_EQ(siblings.test_of(30), "Chat.Replies/1");
  EXPECT_EQ(siblings.test_of(32), "Chat.Replies/1");
  EXPECT_EQ(siblings.test_of(40), "catch_tests");
  EXPECT_EQ(siblings.test_of(20), "") << "this test";
  EXPECT_EQ(siblings.test_of(21), "");
  EXPECT_EQ(siblings.test_of(50), "") << "of a ctest around";
  EXPECT_EQ(siblings.test_of(60), "");
  EXPECT_EQ(siblings.test_of(10), "");
  EXPECT_EQ(siblings.test_of(99), "") << "gone";
  EXPECT_EQ(tidewait::detail::ctest_siblings({21, 1}).test_of(30), "") << "no ctest";
}

TEST(TestOfACommand, IsTheOneThatItSelects) {
  using namespace std::string_literals;
  using tidewait::detail::test_of_command;
  EXPECT_EQ(test_of_command("/b/t\0--gtest_filter=A.B\0--gtest_also_run_disabled_tests\0"s), "A.B");
  EXPECT_EQ(test_of_command("/b/t\0--gtest_filter=A.*\0"s), "t");
  EXPECT_EQ(test_of_command("/b/t\0--gtest_filter=A.B-C.D\0"s), "t");
  EXPECT_EQ(test_of_command("/b/t\0--gtest_filter=\0"s), "t");
  EXPECT_EQ(test_of_command("t"s), "t");
  EXPECT_EQ(test_of_command(""s), "");
  EXPECT_EQ(test_of_command("/b/\x1b[2Jt"s), "?[2Jt");
}

}  // namespace
