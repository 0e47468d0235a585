// SPDX-License-Identifier: BSL-1.0
//
// The causes that are about who holds the port, as in causes.test.cpp.
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

#include "../support/journal_file.hpp"
#include "causes.hpp"

namespace {

using namespace causes;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Cause, IsAListenerOfAnotherUserWithWhomNothingIsShared) {
  const std::string said = as_root_in_namespace([] {
    return beside(
        [] {
          become_nobody();
          return open(here, reuse::port);
        },
        [] { return why(here); });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("and with SO_REUSEPORT: the listener belongs to user 65534, and only "
                              "sockets of one user share a port"));
}

TEST(Cause, IsADescriptorThatAChildInherited) {
  const std::string said = in_namespace([] {
    unique_fd listener = open(here);
    const forked child{[](auto) { ::pause(); }};
    const std::string both = why(here);
    listener.reset();
    return both + why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("has inherited it as fd"), HasSubstr("SOCK_CLOEXEC"),
                          HasSubstr("why: child pid ")));
}

TEST(Cause, IsAServerThatHasOutlivedItsParent) {
  const std::string said = in_namespace([] {
    tidewait::detail::ensure_run_mark();
    forked parent{[](auto say) {
      const unique_fd listener = open(here);
      const pid_t server = ::fork();
      if (server == 0) {
        ::pause();
        ::_exit(0);
      }
      say(std::to_string(server) + '\n');
    }};
    const pid_t server = std::stoi(parent.line());
    parent.wait();
    const std::string text = why(here);
    ::kill(server, SIGKILL);
    return text;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said,
              HasSubstr("started in this run, has outlived its parent and is still listening"));
}

TEST(Cause, IsAnotherProgram) {
  const std::string said =
      in_namespace([] { return beside([] { return open(here); }, [] { return why(here); }); });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr(") is listening on 127.0.0.1:20111"),
                          HasSubstr("stop that process, or use another port")));
}

TEST(Cause, IsAnotherProgramOnALeasedPort) {
  const std::string said = in_namespace([] {
    const tidewait::port_lease lease = tidewait::lease_port();
    const bind_request leased{protocol::tcp, {here.local.address, lease.number()}};
    forked parent{[&](auto say) {
      if (::fork() != 0) return;  // so that the listener is nobody's child
      become_stranger();
      const unique_fd listener = open(leased);
      say(std::to_string(::getpid()) + '\n');
      ::pause();
    }};
    const pid_t stranger = std::stoi(parent.line());
    parent.wait();
    const std::string text = why(leased);
    ::kill(stranger, SIGKILL);
    return text;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("which this test did not start, is listening on the leased port"));
}

TEST(Cause, IsNotThisTestsInTheJournalIfItIsAnotherProgramsOnItsLeasedPort) {
  const std::string said = in_namespace([] {
    const journal_file journal;
    const tidewait::port_lease lease = tidewait::lease_port();
    tidewait::watch test{{}, "Has.the_lease"};
    forked parent{[&](auto say) {
      if (::fork() != 0) return;  // so that the listener is nobody's child
      become_stranger();
      const unique_fd listener = open({protocol::tcp, {here.local.address, lease.number()}});
      say(std::to_string(::getpid()) + '\n');
      ::pause();
    }};
    const pid_t stranger = std::stoi(parent.line());
    parent.wait();
    std::string text = render(test.look());
    ::kill(stranger, SIGKILL);
    for (const auto& entry : tidewait::read_journal()) text += to_json_line(entry);
    return text;
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr("which this test did not start, is listening on the leased port"));
  EXPECT_THAT(said, testing::Not(HasSubstr("{\"")));
}

TEST(Cause, IsAnOwnerWhoIsHidden) {
  const std::string said = as_root_in_namespace([] {
    return beside([] { return open(here); },
                  [] {
                    become_nobody();
                    return why(here);
                  });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said,
              AllOf(HasSubstr("hidden (user 0)"),
                    HasSubstr("a process of uid 0, not visible here, holds a listener on the port"),
                    HasSubstr("run as root with CAP_SYS_PTRACE, or as uid 0"),
                    HasSubstr("owners of other users hidden")));
}

/// /proc as it is mounted with this option.
std::string behind_hidepid(const char* option) {
  return as_root_in_namespace([option]() -> std::string {
    std::string directory = "/tmp/tidewait-proc-XXXXXX";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mkdtemp(directory.data()) == nullptr) {
      return std::string{"skip: no mount namespace: "} + std::strerror(errno);
    }
    const int mounted = ::mount("proc", directory.c_str(), "proc", 0, option);
    std::string text = std::string{"skip: mount /proc: "} + std::strerror(errno);
    if (mounted == 0) {
      text = beside([] { return open(here); },
                    [&] {
                      tidewait::detail::sys.proc = directory.c_str();
                      become_nobody();
                      return why(here);
                    });
      ::umount2(directory.c_str(), MNT_DETACH);
    }
    ::rmdir(directory.c_str());
    return text;
  });
}

TEST(Cause, IsAnOwnerBehindHidepid) {
  for (const char* option : {"hidepid=1", "hidepid=2"}) {
    const std::string said = behind_hidepid(option);
    SKIP_IF_DENIED(said);
    EXPECT_THAT(said,
                AllOf(HasSubstr("hidden (user 0)"), HasSubstr("/proc is mounted with hidepid"),
                      HasSubstr("owners of other users hidden (hidepid)")))
        << option;
  }
}

}  // namespace
