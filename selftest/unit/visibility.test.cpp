// SPDX-License-Identifier: BSL-1.0
#include <system_error>

#include <gmock/gmock.h>

#include <tidewait/visibility.hpp>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::gaps;
using tidewait::owner_view;
using tidewait::table_source;
using tidewait::visibility;

visibility whole() {
  visibility seen;
  seen.tcp = table_source::sock_diag;
  seen.udp = table_source::sock_diag;
  seen.bound_sockets = true;
  seen.owners = owner_view::all;
  return seen;
}

visibility without_netlink() {
  visibility seen = whole();
  seen.tcp = table_source::proc_net;
  seen.udp = table_source::proc_net;
  seen.bound_sockets = false;
  seen.sock_diag_error = std::make_error_code(std::errc::operation_not_permitted);
  return seen;
}

TEST(Coverage, OfEverythingHasNoGap) {
  EXPECT_EQ(to_string(whole()), "sock_diag; owners of all processes visible");
  EXPECT_THAT(gaps(whole()), IsEmpty());
  EXPECT_FALSE(whole().blind());
}

TEST(Coverage, OfNothingAskedIsEmpty) {
  EXPECT_EQ(to_string(visibility{}), "");
  EXPECT_THAT(gaps(visibility{}), IsEmpty());
  EXPECT_FALSE(visibility{}.blind());
}

TEST(Coverage, NamesTheStepDownAndWhatItCosts) {
  EXPECT_EQ(to_string(without_netlink()), "/proc/net; owners of all processes visible");
  EXPECT_THAT(
      gaps(without_netlink()),
      ElementsAre("sockets read from /proc/net: sock_diag refused (Operation not permitted; "
                  "seccomp, or the modules tcp_diag and udp_diag are missing)",
                  "bound sockets not visible: /proc/net does not list them"));
  EXPECT_FALSE(without_netlink().blind());
}

TEST(Coverage, NamesTheEmulatorThatHasNoSockDiag) {
  visibility seen = without_netlink();
  seen.sock_diag_error = std::make_error_code(std::errc::protocol_not_supported);
  seen.unix_sockets = table_source::proc_net;
  seen.unix_diag_error = seen.sock_diag_error;
  EXPECT_THAT(gaps(seen), AllOf(testing::Contains(testing::HasSubstr(
                                    "/proc/net: sock_diag refused (Protocol not supported; an "
                                    "emulator such as qemu-user")),
                                testing::Contains(testing::HasSubstr(
                                    "/proc/net/unix: sock_diag refused (Protocol not supported; "
                                    "an emulator such as qemu-user"))));
}

TEST(Coverage, TellsTheProtocolsApart) {
  visibility seen = whole();
  seen.udp = table_source::proc_net;
  seen.sock_diag_error = std::make_error_code(std::errc::no_such_file_or_directory);
  EXPECT_EQ(to_string(seen), "sock_diag, for UDP /proc/net; owners of all processes visible");
  EXPECT_THAT(gaps(seen), ElementsAre("UDP sockets read from /proc/net: sock_diag refused (No such "
                                      "file or directory; seccomp, or the modules tcp_diag and "
                                      "udp_diag are missing)"));
  seen.bound_sockets = false;
  EXPECT_THAT(gaps(seen).back(), "bound sockets not visible: kernel before 6.8");

  seen.tcp = table_source::nothing;
  EXPECT_TRUE(seen.blind());
  EXPECT_THAT(
      gaps(seen).front(),
      "TCP sockets not visible: sock_diag refused (No such file or directory) and "
      "/proc/net not readable; allow netlink sockets (NETLINK_SOCK_DIAG) in the sandbox, or "
      "mount /proc");
  seen.udp = table_source::not_asked;
  EXPECT_THAT(gaps(seen).size(), 1U);
  EXPECT_TRUE(seen.blind());
}

TEST(Coverage, SaysWhichOwnersAreHiddenAndWhatWouldShowThem) {
  const struct {
    owner_view owners;
    const char* line;
    const char* gap;
  } table[] = {
      {owner_view::not_searched, "sock_diag", ""},
      {owner_view::own_tree, "sock_diag; owners of this process tree visible", ""},
      {owner_view::own_user_only, "sock_diag; owners of other users hidden",
       "owners hidden: other users' processes (root with CAP_SYS_PTRACE sees them; in a container: "
       "docker run --cap-add SYS_PTRACE)"},
      {owner_view::hidepid, "sock_diag; owners of other users hidden (hidepid)",
       "owners hidden: /proc is mounted with hidepid (root with CAP_SYS_PTRACE sees them)"},
      {owner_view::no_proc, "sock_diag; owners hidden (no /proc)",
       "owners hidden: /proc cannot be read"},
  };
  for (const auto& row : table) {
    visibility seen = whole();
    seen.owners = row.owners;
    EXPECT_EQ(to_string(seen), row.line);
    EXPECT_EQ(gaps(seen).empty() ? "" : gaps(seen).front(), row.gap);
  }
  visibility seen = whole();
  seen.pid_namespace = true;
  EXPECT_EQ(to_string(seen), "sock_diag; owners of all processes of this pid namespace visible");
}

TEST(Coverage, SaysWhyAProcessWasNotSearched) {
  visibility seen = whole();
  seen.owners_error = std::make_error_code(std::errc::too_many_files_open);
  seen.large_environments = 1;
  EXPECT_THAT(gaps(seen),
              ElementsAre("owners hidden: a process could not be searched: Too many open files",
                          "1 process has an environment over 1 MiB, too large to be searched for "
                          "the test that started it"));
  seen.owners_error.clear();
  seen.large_environments = 2;
  EXPECT_THAT(gaps(seen),
              ElementsAre("2 processes have an environment over 1 MiB, too large to be searched "
                          "for the test that started it"));
}

TEST(Coverage, SaysWhatWasNotReadWhole) {
  visibility seen = whole();
  seen.torn = true;
  seen.unread_lines = 3;
  EXPECT_THAT(gaps(seen), ElementsAre("the socket table kept changing while it was read",
                                      "3 lines of /proc/net could not be read"));
}

}  // namespace
