// SPDX-License-Identifier: BSL-1.0
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/visibility.hpp>

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::gap;
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

std::vector<std::string> said(const visibility& seen) {
  std::vector<std::string> texts;
  for (const gap& each : gaps(seen)) texts.push_back(to_string(each));
  return texts;
}

visibility without_netlink() {
  visibility seen = whole();
  seen.tcp = table_source::proc_net;
  seen.udp = table_source::proc_net;
  seen.bound_sockets = false;
  seen.sock_diag_error = std::make_error_code(std::errc::operation_not_permitted);
  return seen;
}

TEST(Visibility, OfEverythingHasNoGap) {
  EXPECT_EQ(to_string(whole()), "sock_diag; owners of all processes visible");
  EXPECT_THAT(said(whole()), IsEmpty());
  EXPECT_FALSE(whole().blind());
}

TEST(Visibility, OfNothingAskedIsEmpty) {
  EXPECT_EQ(to_string(visibility{}), "");
  EXPECT_THAT(said(visibility{}), IsEmpty());
  EXPECT_FALSE(visibility{}.blind());
}

TEST(Visibility, NamesTheStepDownAndWhatItCosts) {
  EXPECT_EQ(to_string(without_netlink()), "/proc/net; owners of all processes visible");
  EXPECT_THAT(
      said(without_netlink()),
      ElementsAre("sockets read from /proc/net: sock_diag refused (Operation not permitted; "
                  "seccomp, or the modules tcp_diag and udp_diag are missing)",
                  "bound sockets not visible: /proc/net does not list them"));
  EXPECT_FALSE(without_netlink().blind());
}

TEST(Visibility, NamesTheEmulatorThatHasNoSockDiag) {
  visibility seen = without_netlink();
  seen.sock_diag_error = std::make_error_code(std::errc::protocol_not_supported);
  seen.unix_sockets = table_source::proc_net;
  seen.unix_diag_error = seen.sock_diag_error;
  EXPECT_THAT(said(seen), AllOf(testing::Contains(testing::HasSubstr(
                                    "/proc/net: sock_diag refused (Protocol not supported; an "
                                    "emulator such as qemu-user")),
                                testing::Contains(testing::HasSubstr(
                                    "/proc/net/unix: sock_diag refused (Protocol not supported; "
                                    "an emulator such as qemu-user"))));
}

TEST(Visibility, TellsTheProtocolsApart) {
  visibility seen = whole();
  seen.udp = table_source::proc_net;
  seen.sock_diag_error = std::make_error_code(std::errc::no_such_file_or_directory);
  EXPECT_EQ(to_string(seen), "sock_diag, for UDP /proc/net; owners of all processes visible");
  EXPECT_THAT(said(seen), ElementsAre("UDP sockets read from /proc/net: sock_diag refused (No such "
                                      "file or directory; seccomp, or the modules tcp_diag and "
                                      "udp_diag are missing)"));
  seen.bound_sockets = false;
  EXPECT_THAT(said(seen).back(), "bound sockets not visible: kernel before 6.8");

  seen.tcp = table_source::nothing;
  EXPECT_TRUE(seen.blind());
  EXPECT_THAT(
      said(seen).front(),
      "TCP sockets not visible: sock_diag refused (No such file or directory) and "
      "/proc/net not readable; allow netlink sockets (NETLINK_SOCK_DIAG) in the sandbox, or "
      "mount /proc");
  seen.udp = table_source::not_asked;
  EXPECT_THAT(said(seen).size(), 1U);
  EXPECT_TRUE(seen.blind());
}

TEST(Visibility, SaysWhichOwnersAreHiddenAndWhatWouldShowThem) {
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
      {owner_view::no_descriptors, "sock_diag; owners hidden (no file descriptor left)",
       "owners hidden: no descriptor is left; look for a descriptor leak, or raise ulimit -n"},
  };
  for (const auto& row : table) {
    visibility seen = whole();
    seen.owners = row.owners;
    EXPECT_EQ(to_string(seen), row.line);
    EXPECT_EQ(said(seen).empty() ? "" : said(seen).front(), row.gap);
  }
  visibility seen = whole();
  seen.pid_namespace = true;
  EXPECT_EQ(to_string(seen), "sock_diag; owners of all processes of this pid namespace visible");
}

TEST(Visibility, AdvisesWhatWouldShowTheOwner) {
  const auto advice = [](owner_view owners) {
    tidewait::bind_environment environment;
    environment.owners = owners;
    return tidewait::detail::show_owner({}, environment);
  };
  EXPECT_EQ(advice(owner_view::no_proc), "mount /proc to identify the process");
  EXPECT_EQ(advice(owner_view::no_descriptors),
            "close descriptors or raise ulimit -n to identify the process");
}

TEST(Visibility, SaysWhyAProcessWasNotSearched) {
  visibility seen = whole();
  seen.owners_error = std::make_error_code(std::errc::too_many_files_open);
  seen.large_environments = 1;
  EXPECT_THAT(said(seen),
              ElementsAre("owners hidden: a process could not be searched: Too many open files",
                          "1 process has an environment over 1 MiB, too large to be searched for "
                          "the test that started it"));
  seen.owners_error.clear();
  seen.large_environments = 2;
  EXPECT_THAT(said(seen),
              ElementsAre("2 processes have an environment over 1 MiB, too large to be searched "
                          "for the test that started it"));
}

TEST(Visibility, SaysWhatWasNotReadWhole) {
  visibility seen = whole();
  seen.torn = true;
  seen.unread_lines = 3;
  EXPECT_THAT(said(seen), ElementsAre("the socket table kept changing while it was read",
                                      "3 lines of /proc/net could not be read"));
}

TEST(Visibility, PutsWhatToDoAfterAllThatWasNotSeen) {
  visibility seen = without_netlink();
  seen.tcp = table_source::nothing;
  seen.udp = table_source::nothing;
  seen.torn = true;
  ASSERT_EQ(gaps(seen).size(), 2U);
  const gap all = tidewait::detail::merged(gaps(seen));
  EXPECT_EQ(all.why,
            "sockets not visible: sock_diag refused (Operation not permitted) and /proc/net not "
            "readable; the socket table kept changing while it was read");
  EXPECT_EQ(all.fix, "allow netlink sockets (NETLINK_SOCK_DIAG) in the sandbox, or mount /proc");
  EXPECT_TRUE(tidewait::detail::merged(gaps(whole())).empty());
}

}  // namespace
