// SPDX-License-Identifier: BSL-1.0
//
// Causes that lie in what is around a process: its rights, its interfaces, a filter of its calls,
// who has the other end of a connection.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/socket_table.hpp>

#include "causes.hpp"

namespace {

using namespace causes;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

/// A listener on every address of one interface.
unique_fd open_on(const char* interface) {
  unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto size = static_cast<socklen_t>(std::strlen(interface));
  const tidewait::detail::socket_address where{to("*:20111").local};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface, size) != 0 ||
      ::bind(fd.get(), where.get(), where.size) != 0 || ::listen(fd.get(), 8) != 0) {
    throw std::system_error{errno, std::generic_category(), interface};
  }
  return fd;
}

TEST(Cause, IsNotSharedByListenersOnTwoInterfaces) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    if (std::system("ip link add tw0 type bridge 2>/dev/null && ip link set tw0 up") != 0)
      return "skip: no second interface";
    return beside(
        [] { return open_on("lo"); },
        [] { return beside([] { return open_on("tw0"); }, [] { return why(to("*:20111")); }); });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("0.0.0.0%lo:20111"), HasSubstr("0.0.0.0%tw0:20111"),
                          HasSubstr("listening on 0.0.0.0:20111, only for the interface tw0"),
                          Not(HasSubstr("SO_REUSEPORT: no bind fails"))));
}

/// From now on bind(2) answers with that error, whatever is there.
bool refuse_binds(unsigned error = EADDRINUSE) {
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_bind},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter{4, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(Cause, IsPerhapsASandboxWhereNoSocketIsToBeSeen) {
  const std::string said =
      in_namespace([] { return refuse_binds() ? why(here) : "skip: no seccomp filter"; });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("no visible socket uses the port, yet the kernel refuses"),
                          HasSubstr("a seccomp filter is active"), Not(HasSubstr("Windows"))));
}

TEST(Cause, IsNotThatNoInterfaceHasTheAddressIfOneHas) {
  const std::string said = in_namespace(
      [] { return refuse_binds(EADDRNOTAVAIL) ? why(here) : "skip: no seccomp filter"; });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("an interface has the address 127.0.0.1, but not one that the "
                                    "sockets of this process may use: they are in another VRF"),
                          HasSubstr("`ip vrf identify`"), Not(HasSubstr("no interface"))));
}

TEST(Cause, IsPerhapsWindowsWhereNoSocketIsToBeSeenInWsl) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    char file[] = "/tmp/tidewait-osrelease-XXXXXX";
    const unique_fd made{::mkstemp(file)};
    const std::string release = "6.6.87.2-microsoft-standard-WSL2\n";
    const bool written = ::write(made.get(), release.data(), release.size()) > 0;
    const bool mounted =
        written && ::unshare(CLONE_NEWNS) == 0 &&
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        ::mount(file, "/proc/sys/kernel/osrelease", nullptr, MS_BIND, nullptr) == 0;
    ::unlink(file);
    return mounted && refuse_binds() ? why(here) : "skip: no other /proc/sys/kernel/osrelease";
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("look on Windows (`netstat -ano`"),
                          HasSubstr("networkingMode=mirrored")));
}

/// What is said of port 80 after `lose` has taken rights away.
template <typename Lose>
std::string why_low_port_after(Lose lose) {
  return as_root_in_namespace([&]() -> std::string {
    forked asking{[&](auto say) { say(lose() ? why(to("*:80")) : std::string{"skip: denied"}); }};
    return asking.all();
  });
}

TEST(Cause, IsARightThatCountsInAnotherUserNamespaceOnly) {
  const std::string said = why_low_port_after([] {
    become_nobody();
    if (::unshare(CLONE_NEWUSER) != 0) return false;
    become_root_of_namespace(nobody, nobody);
    return true;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("has CAP_NET_BIND_SERVICE in its own user namespace only"),
                          HasSubstr("`sysctl net.ipv4.ip_unprivileged_port_start=80`"),
                          Not(HasSubstr("setcap"))));
}

TEST(Cause, IsARightThatNoProgramCanGain) {
  const std::string no_new_privs = why_low_port_after([] {
    become_nobody();
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  });
  SKIP_IF_DENIED(no_new_privs);
  EXPECT_THAT(no_new_privs, AllOf(HasSubstr("no_new_privs is set, so that sudo and setcap have no "
                                            "effect"),
                                  HasSubstr("AmbientCapabilities="), Not(HasSubstr("`setcap"))));
  constexpr int cap_net_bind_service = 10;
  const std::string bounded = why_low_port_after([] {
    const bool dropped = ::prctl(PR_CAPBSET_DROP, cap_net_bind_service) == 0;
    become_nobody();
    return dropped;
  });
  EXPECT_THAT(bounded, AllOf(HasSubstr("the bounding set of this process lacks"),
                             HasSubstr("--cap-add NET_BIND_SERVICE"), Not(HasSubstr("`setcap"))));
  const std::string plain = why_low_port_after([] {
    become_nobody();
    return true;
  });
  EXPECT_THAT(plain, HasSubstr("`setcap cap_net_bind_service=+ep FILE`"));
}

TEST(Cause, IsAClientThatHasNotClosedItsEnd) {
  for (const reuse options : {reuse::address, reuse::none}) {
    const std::string said = in_namespace([options] {
      return beside(
          [options] {
            connected both{options};
            both.listener.reset();
            both.server.reset();
            tidewait::socket_query closed;
            closed.states = tidewait::socket_state::fin_wait2;
            for (int i = 0; i < 5000 && tidewait::socket_table::current(closed).sockets.empty();
                 ++i) {
              tidewait::detail::sleep_for(std::chrono::milliseconds{1});
            }
            return std::move(both.client);
          },
          [] { return why(here); });
    });
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said,
                AllOf(ContainsRegex("is in FIN_WAIT2: the peer, pid [0-9]+ \\([^)]+\\), has not "
                                    "closed"),
                      ContainsRegex("fix: close the client's end, or stop pid [0-9]+"),
                      HasSubstr(options == reuse::address
                                    ? ", or set SO_REUSEADDR before bind"
                                    : "; set SO_REUSEADDR before bind on each server")));
  }
}

}  // namespace
