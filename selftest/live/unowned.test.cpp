// SPDX-License-Identifier: BSL-1.0
//
// Sockets that no descriptor of a process stands for, or whose process does not show its
// descriptors, produced for real: what keeps them is named, and fails the test if it is the test's.
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/waiting_call.hpp>
#include <tidewait/watch.hpp>

#include "causes.hpp"

namespace {

using namespace causes;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const bind_request udp = to("127.0.0.1:20111", protocol::udp);

/// Closes the descriptor under a thread that waits for it in `call(fd)`.
void close_under(unique_fd fd, void (*call)(int)) {
  std::thread{call, fd.get()}.detach();  // it ends with its process
  while (!tidewait::detail::any_thread_waits_for(fd.get())) {
    tidewait::detail::sleep_for(std::chrono::milliseconds{1});
  }
}

void wait_in_accept(int fd) { ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); }
void wait_in_poll(int fd) {
  pollfd both[] = {{-1, 0, 0}, {fd, POLLIN, 0}};
  ::poll(both, 2, -1);
}
void wait_in_select(int fd) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  ::select(fd + 1, &set, nullptr, nullptr, nullptr);
}
void wait_in_recv(int fd) {
  char byte = 0;
  ::recv(fd, &byte, 1, 0);
}

/// A listener in an io_uring that stays open, and in no descriptor. Throws where there is none.
void keep_by_io_uring(bool as_registered_file) {
  const unique_fd listener = open(here);
  io_uring_params rules{};
  const int ring = static_cast<int>(::syscall(SYS_io_uring_setup, 4, &rules));
  if (ring < 0) throw std::system_error{errno, std::system_category(), "skip: io_uring_setup"};
  if (as_registered_file) {
    int files[] = {-1, listener.get()};
    if (::syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, 2) != 0)
      throw std::system_error{errno, std::system_category(), "io_uring_register"};
    return;
  }
  const std::size_t size = rules.sq_off.array + rules.sq_entries * sizeof(std::uint32_t);
  char* const queue = static_cast<char*>(::mmap(
      nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING));
  auto* const entry = static_cast<io_uring_sqe*>(
      ::mmap(nullptr, rules.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES));
  *entry = {};
  entry->opcode = IORING_OP_ACCEPT;
  entry->fd = listener.get();
  *reinterpret_cast<std::uint32_t*>(queue + rules.sq_off.array) = 0;
  __atomic_store_n(reinterpret_cast<std::uint32_t*>(queue + rules.sq_off.tail), 1,
                   __ATOMIC_RELEASE);
  if (::syscall(SYS_io_uring_enter, ring, 1, 0, 0, nullptr, 0) != 1)
    throw std::system_error{errno, std::system_category(), "io_uring_enter"};
}

/// A listener that waits in a Unix socket to be received.
void keep_in_flight() {
  const unique_fd listener = open(here);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error{errno, std::system_category(), "socketpair"};
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = listener.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (::sendmsg(ends[0], &message, 0) != 1)
    throw std::system_error{errno, std::system_category(), "sendmsg"};
}

/// A listener in the descriptor table of one thread alone.
void keep_in_a_table_of_its_own() {
  unique_fd listener = open(here);
  static pthread_barrier_t shared;
  ::pthread_barrier_init(&shared, nullptr, 2);
  std::thread{[] {
    ::unshare(CLONE_FILES);
    ::pthread_barrier_wait(&shared);
    ::pause();
  }}.detach();
  ::pthread_barrier_wait(&shared);
}

struct situation {
  const char* name;
  bind_request request;
  void (*plant)();
  const char* said;  ///< A regular expression.
};

const situation situations[] = {
    {"accept", here, [] { close_under(open(here), wait_in_accept); },
     "no descriptor of this listener is open, but thread [0-9]+ of WHO still waits in "
     "accept\\(\\)"},
    {"poll", here, [] { close_under(open(here), wait_in_poll); },
     "no descriptor of this listener is open, but thread [0-9]+ of WHO still waits in poll\\(\\)"},
    {"select", here, [] { close_under(open(here), wait_in_select); },
     "no descriptor of this listener is open, but thread [0-9]+ of WHO still waits in "
     "select\\(\\)"},
    {"recv", udp, [] { close_under(open(udp), wait_in_recv); },
     "no descriptor of this UDP socket is open, but thread [0-9]+ of WHO still waits in "
     "recv\\(\\)"},
    {"poll_of_udp", udp, [] { close_under(open(udp), wait_in_poll); },
     "no descriptor of this UDP socket is open, but thread [0-9]+ of WHO still waits in "
     "poll\\(\\)"},
    {"io_uring_accept", here, [] { keep_by_io_uring(false); },
     "no descriptor of this listener is open, but an io_uring of WHO \\(fd [0-9]+\\) keeps it"},
    {"io_uring_file", here, [] { keep_by_io_uring(true); },
     "no descriptor of this listener is open, but an io_uring of WHO \\(fd [0-9]+\\) keeps it"},
    {"in_flight", here, keep_in_flight,
     "a file is on its way in a Unix socket of WHO \\(fd [0-9]+\\): sent with SCM_RIGHTS"},
    {"own_table", here, keep_in_a_table_of_its_own, "fd [0-9]+ of thread [0-9]+|WHO is listening"},
};

void PrintTo(const situation& each, std::ostream* to) { *to << each.name; }

/// Runs `look` in a pid namespace of its own with a /proc of it, as in a container, as its root:
/// nothing there is hidden.
template <typename Look>
std::string in_pid_namespace(Look look) {
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return "skip: no pid namespace";
  forked inside{[&](auto say) {
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) return void(say("skip: /proc"));
    say(look());
  }};
  return inside.all();
}

class Unowned : public testing::TestWithParam<situation> {
 protected:
  static std::string expected(const std::string& who) {
    std::string text = GetParam().said;
    const auto at = text.find("WHO");
    return at == std::string::npos ? text : text.replace(at, 3, who);
  }
};

TEST_P(Unowned, NamesWhatOfThisProcessKeepsTheSocket) {
  const std::string said = in_namespace([] {
    GetParam().plant();
    return why(GetParam().request);
  });
  SKIP_IF_DENIED(said);
  if (said.find("skip: ") != std::string::npos) GTEST_SKIP() << said;
  EXPECT_THAT(said, ContainsRegex(expected("this process")));
}

TEST_P(Unowned, FailsTheTestAsALeakedListenerDoes) {
  const std::string said = in_namespace([] {
    tidewait::watch test{{}, "Leaves.it"};
    GetParam().plant();
    const tidewait::report found = test.look();
    return (found.clean() ? "clean: " : "fails: ") + render(found);
  });
  SKIP_IF_DENIED(said);
  if (said.find("skip: ") != std::string::npos) GTEST_SKIP() << said;
  EXPECT_THAT(said, AllOf(testing::StartsWith("fails: tidewait: Leaves.it left 1 socket behind"),
                          ContainsRegex(expected("this process")), Not(HasSubstr("waited"))));
}

TEST_P(Unowned, NamesWhatOfAnotherProcessKeepsTheSocket) {
  const std::string said = as_root_in_namespace([] {
    return in_pid_namespace([] {
      return beside(
          [] {
            GetParam().plant();
            return 0;
          },
          [] { return why(GetParam().request); });
    });
  });
  SKIP_IF_DENIED(said);
  if (said.find("skip: ") != std::string::npos) GTEST_SKIP() << said;
  EXPECT_THAT(said, ContainsRegex(expected("pid [0-9]+ \\([^)]+\\)")));
  EXPECT_THAT(said, Not(HasSubstr("this process still")));
}

INSTANTIATE_TEST_SUITE_P(Each, Unowned, testing::ValuesIn(situations),
                         [](const auto& each) { return std::string{each.param.name}; });

TEST(Owner, OfASocketIsAProcessWhoseFirstThreadHasEnded) {
  const std::string said = in_namespace([] {
    forked holder{[](auto say) {
      become_stranger();
      static unique_fd listener = open(here);
      std::thread{[say] {
        const auto self = [] {
          return tidewait::detail::read_process_stat(
              tidewait::detail::open_process(::getpid()).get());
        };
        while (self()->state != 'Z') tidewait::detail::sleep_for(std::chrono::milliseconds{1});
        say(std::string{"ready\n"});
        ::pause();
      }}.detach();
      ::syscall(SYS_exit, 0);  // of this thread alone
    }};
    if (holder.line() != "ready") return std::string{"not ready"};
    forked asking{[&](auto say) { say(why(here)); }};
    return asking.all();
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, HasSubstr(") is listening on 127.0.0.1:20111"));
}

TEST(Unowned, ATunnelOfTheKernelIsNamed) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    if (std::system("ip link add tunnel0 type vxlan id 5 dev lo dstport 20111 2>/dev/null && "
                    "ip link set tunnel0 up") != 0) {
      return "skip: no VXLAN here";
    }
    return why(to("*:20111", protocol::udp));
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("kernel: tunnel0 (vxlan)"),
                          HasSubstr("the kernel itself holds this UDP socket, for the interface "
                                    "tunnel0 (vxlan)"),
                          Not(HasSubstr("SHUT_RDWR"))));
}

TEST(Unowned, AnMptcpEndpointOfTheKernelIsNamed) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    if (std::system("ip mptcp endpoint add 127.0.0.1 port 20111 signal 2>/dev/null") != 0)
      return "skip: no MPTCP here";
    return why(here);
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, AllOf(HasSubstr("the kernel itself holds this listener, for its MPTCP endpoint "
                                    "with id 1"),
                          HasSubstr("ip mptcp endpoint delete"), Not(HasSubstr("accept()"))));
}

TEST(Unowned, AListenerOutsideOfAContainerIsTakenForWhatItIs) {
  const std::string said = as_root_in_namespace([] {
    forked server{[](auto say) {
      become_stranger();
      const unique_fd listener = open(here);
      say(std::string{"ready\n"});
      ::pause();
    }};
    if (server.line() != "ready") return std::string{"skip: no server"};
    return in_pid_namespace([] { return why(here); });
  });
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said,
              AllOf(HasSubstr("no process of this pid namespace holds this listener; what may "
                              "keep it: a process outside of it"),
                    HasSubstr("run `tidewait why` on the host"), Not(HasSubstr("accept()"))));
}

TEST(Unowned, AListenerThatStartsOutsideOfAContainerIsNeitherWarnedOfNorWaitedFor) {
  const std::string said = as_root_in_namespace([]() -> std::string {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return "skip: no pipe";
    forked server{[&](auto say) {
      become_stranger();
      char start = 0;
      if (::read(ends[0], &start, 1) != 1) return;
      const unique_fd listener = open(here);
      say(std::string{"ready\n"});
      ::pause();
    }};
    return in_pid_namespace([&]() -> std::string {
      tidewait::watch test{{}, "In.a_container"};
      if (::write(ends[1], "x", 1) != 1 || server.line() != "ready") return "skip: pipe";
      const tidewait::report found = test.look();
      return std::to_string(found.waited.count()) + " ms: " + render(found);
    });
  });
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "0 ms: ");
}

/// As in a container as Docker makes it: root, without the right to look into other users'
/// processes.
void become_root_without_ptrace() {
  ::prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[2] = {};
  ::syscall(SYS_capget, &header, rights);
  for (std::uint32_t* const set :
       {&rights[0].effective, &rights[0].permitted, &rights[0].inheritable}) {
    *set &= ~(1U << CAP_SYS_PTRACE);
  }
  if (::syscall(SYS_capset, &header, rights) != 0) throw std::runtime_error{"skip: capset"};
}

TEST(Unowned, AServerOfAnotherUserIsHiddenFromARootWithoutRightsHoweverManyFilesItHas) {
  for (const bool drops_rights : {false, true}) {
    for (const int files : {20, 200}) {
      const std::string said = as_root_in_namespace([&] {
        return beside(
            [&] {
              if (!drops_rights) become_nobody();
              static unique_fd listener = open(here);
              if (drops_rights) become_nobody();
              for (int i = 0; i < files; ++i) static_cast<void>(::dup(2));
              return 0;
            },
            [] {
              become_root_without_ptrace();
              return why(here);
            });
      });
      SKIP_IF_DENIED(said);
      const std::string user = drops_rights ? "0" : "65534";
      EXPECT_THAT(said,
                  AllOf(HasSubstr("a process of uid " + user +
                                  ", not visible here, holds a "
                                  "listener on the port"),
                        HasSubstr("root lacks CAP_SYS_PTRACE here: add it (docker run "
                                  "--cap-add SYS_PTRACE)"),
                        HasSubstr("owners of other users hidden"), Not(HasSubstr("accept()"))))
          << files << " descriptors";
    }
  }
}

}  // namespace
