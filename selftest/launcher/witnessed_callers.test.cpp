// SPDX-License-Identifier: BSL-1.0
//
// Binds of threads, children, other users and programs with filters of their own; deaths; many.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/private_network.hpp"
#include "../support/sockets.hpp"
#include "bind_calls.hpp"
#include "bind_filter.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using tidewait::command::socket_kind;
using witness::filter_line;
using witness::filter_step;
using witness::no_new_privs;
using witness::number;
using witness::numbers;
using witness::outcome;
using witness::run;
using witness::setup;
using witness::tcp_socket;
using witness::try_bind;

TEST(BindWitness, SeesThreadsAndTheirOwnDescriptorTables) {
  const auto ports = tidewait::lease_ports(2, tidewait::protocol_set::tcp);
  const auto work = [&](auto say) {
    const int fd = tcp_socket();
    int answers[2] = {-1, -1};
    std::thread{[&] { answers[0] = try_bind(fd, ports[0].number()); }}.join();
    std::thread{[&] {
      if (::unshare(CLONE_FILES) != 0) return;
      // The same number, and another socket than its process has there.
      const int own = ::socket(AF_INET, SOCK_DGRAM, 0);
      ::dup2(own, fd);
      answers[1] = try_bind(fd, ports[1].number());
    }}.join();
    say(numbers({answers[0], answers[1], ::getpid()}));
  };
  const outcome result = run(work);
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.said, "0 0 " + number(result.binds[0].pid));
  EXPECT_NE(result.binds[0].thread, result.binds[0].pid);
  EXPECT_EQ(result.binds[1].pid, result.binds[0].pid);
  EXPECT_EQ(result.binds[0].kind, socket_kind::tcp);

  setup older;  // kernels before 6.9
  older.limits.thread_descriptors = false;
  const outcome without = run(work, older);
  ASSERT_THAT(without.binds, SizeIs(2));
  EXPECT_EQ(without.binds[0].kind, socket_kind::tcp);
  EXPECT_THAT(without.binds[1].partial, HasSubstr("cannot be looked at"));
  EXPECT_EQ(without.binds[1].asked->port, ports[1].number());
}

TEST(BindWitness, SeesAChildOfVfork) {
  const outcome result = run([](auto say) {
    const int fd = tcp_socket();
    volatile int answer = -1;
    const pid_t child = ::vfork();
    if (child == 0) {
      answer = try_bind(fd, 0);
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    say(numbers({answer, child}));
  });
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_EQ(result.said, "0 " + number(result.binds[0].pid));
}

TEST(BindWitness, SeesProcessesOfAnotherPidNamespace) {
  const outcome result = run([](auto say) {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) != 0) {
      say("skip: no pid namespace");
      return;
    }
    forked first{[&](auto say_inner) {
      const int fd = tcp_socket(SO_REUSEADDR);
      say_inner(numbers({::getpid(), try_bind(fd, 0), ::listen(fd, 1)}));
    }};
    say(first.all());
  });
  SKIP_WITHOUT_FILTER(result);
  SKIP_IF_DENIED(result.said);
  EXPECT_EQ(result.said, "1 0 0 ");
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_GT(result.binds[0].pid, 1);
  EXPECT_TRUE(result.binds[0].reuse_address);
  EXPECT_EQ(result.binds[0].partial, "");
}

TEST(BindWitness, IsPartialInAnotherNetworkNamespace) {
  const outcome result = run([](auto say) {
    if (const std::string why = enter_private_network(); !why.empty()) {
      say(why);
    } else {
      say(number(try_bind(tcp_socket(), 8080)));
    }
  });
  SKIP_WITHOUT_FILTER(result);
  SKIP_IF_DENIED(result.said);
  EXPECT_EQ(result.said, "0 ");
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_EQ(result.binds[0].partial, "in another network namespace");
  EXPECT_EQ(result.binds[0].asked->port, 8080);
}

TEST(BindWitness, IsPartialWhereTheCallerMayNotBeRead) {
  // As nobody, against a caller that has hidden itself as setuid programs are.
  forked plain_user{[](auto say) {
    if (!witness::become_nobody()) return;
    setup with;
    with.privileges = no_new_privs::set;
    const outcome result = run(
        [](auto say_inner) {
          ::prctl(PR_SET_DUMPABLE, 0);
          const int fd = tcp_socket();
          say_inner(numbers({try_bind(fd, 0), ::listen(fd, 1)}));
        },
        with);
    if (result.skip()) {
      say("skip: " + result.why_skip());
      return;
    }
    say(result.said);
    for (const auto& each : result.binds) say(each.partial + '\n');
  }};
  const std::string said = plain_user.all();
  SKIP_IF_DENIED(said);
  EXPECT_THAT(said, testing::StartsWith("0 0 "));
  EXPECT_THAT(said, HasSubstr("cannot be looked at (Operation not permitted)"));
}

TEST(BindWitness, NeedsNoRightsWithNoNewPrivs) {
  forked plain_user{[](auto say) {
    if (!witness::become_nobody()) return;
    const auto work = [](auto say_inner) {
      const int fd = tcp_socket();
      say_inner(numbers({try_bind(fd, 0), ::listen(fd, 1)}));
    };
    setup with;
    with.privileges = no_new_privs::leave;
    const outcome denied = run(work, with);
    say(number(static_cast<int>(denied.step)) + denied.said);
    with.privileges = no_new_privs::set;
    const outcome result = run(work, with);
    say(number(static_cast<int>(result.step)) + result.said + number(int(result.binds.size())));
    for (const auto& each : result.binds) say(each.partial + number(each.listening));
  }};
  const std::string said = plain_user.all();
  EXPECT_EQ(said, number(static_cast<int>(filter_step::rights)) + "0 0 0 0 0 1 1 ");
}

TEST(BindWitness, GivesWayToAFilterOfTheProgramItself) {
  const auto install = [](std::uint32_t action) {
    const sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog code{4, const_cast<sock_filter*>(program)};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &code));
  };
  const outcome allowed = run([&](auto say) {
    say(numbers({install(SECCOMP_RET_ALLOW), try_bind(tcp_socket(), 0)}));
  });
  SKIP_WITHOUT_FILTER(allowed);
  EXPECT_EQ(allowed.said, "0 0 ");
  EXPECT_THAT(allowed.binds, SizeIs(1));
  const outcome denied = run([&](auto say) {
    say(numbers({install(SECCOMP_RET_ERRNO | ENOLINK), try_bind(tcp_socket(), 0)}));
  });
  EXPECT_EQ(denied.said, "0 " + number(ENOLINK));
  EXPECT_THAT(denied.binds, IsEmpty());
}

extern "C" void do_nothing(int) {}

TEST(BindWitness, IsRestartedAfterSignalsAsTheProgramWants) {
  const outcome result = run([](auto say) {
    struct sigaction action {};
    action.sa_handler = do_nothing;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 200}, {0, 200}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    int failed = 0;
    for (int i = 0; i < 500; ++i) {
      const int fd = tcp_socket();
      failed += try_bind(fd, 0) != 0 || ::listen(fd, 1) != 0;
      ::close(fd);
    }
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    say(number(failed));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  EXPECT_THAT(result.binds, SizeIs(500)) << "a call that came again was recorded twice";
}

TEST(BindWitness, LetsACallerBeKilledWhileItWaits) {
  filter_line line;
  forked child{[&](auto say) {
    line.install(setup{}.privileges);
    say("\n");
    try_bind(tcp_socket(), 0);
  }};
  auto answer = line.receive();
  if (!answer.listener) {
    GTEST_SKIP() << to_string(tidewait::command::explain_no_filter(answer.step, answer.error));
  }
  witness::bind_supervisor supervisor{std::move(answer.listener)};
  child.line();
  pollfd ready{supervisor.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 10000), 1);
  child.kill();
  EXPECT_TRUE(supervisor.answer_one());
  EXPECT_THAT(supervisor.binds(), IsEmpty());
  witness::supervise(supervisor);
}

TEST(BindWitness, ForgetsACallerThatIsKilledWhileItsFailureIsExplained) {
  const auto port = tidewait::lease_port();
  const int taken = sockets::listen_on(port.number(), false);
  setup with;
  with.why = [&](const auto& bind) {
    ::kill(bind.thread, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(bind.pid), &info, WEXITED | WNOWAIT);
    return std::nullopt;
  };
  const outcome result = run([&](auto) { try_bind(tcp_socket(), port.number()); }, with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_THAT(result.binds, IsEmpty()) << "it never made the call";
}

TEST(BindWitness, HangsNobodyWhenTheSupervisorIsKilled) {
  int said[2];
  ASSERT_EQ(::pipe2(said, O_CLOEXEC), 0);
  // It has a child with 8 threads that bind without end, and answers a few of them.
  forked supervising{[&](auto say) {
    filter_line line;
    forked child{[&](auto) {
      line.install(setup{}.privileges);
      std::vector<std::thread> threads;
      std::array<int, 8> answers{};
      for (int& answer : answers) {
        threads.emplace_back([&answer] {
          do {
            const int fd = tcp_socket();
            answer = try_bind(fd, 0);
            ::close(fd);
          } while (answer == 0);
        });
      }
      for (std::thread& each : threads) each.join();
      std::string all;
      for (const int answer : answers) all += number(answer);
      if (::write(said[1], all.data(), all.size()) < 0) return;
    }};
    auto answer = line.receive();
    if (!answer.listener) {
      say("skip: " + to_string(tidewait::command::explain_no_filter(answer.step, answer.error)) +
          '\n');
      return;
    }
    witness::bind_supervisor supervisor{std::move(answer.listener)};
    for (int i = 0; i < 100; ++i) {
      pollfd ready{supervisor.fd(), POLLIN, 0};
      if (::poll(&ready, 1, -1) == 1) supervisor.answer_one();
    }
    say("answered\n");
    ::pause();
  }};
  ::close(said[1]);
  const std::string first = supervising.line();
  supervising.kill();
  std::string all;
  char part[256];
  for (ssize_t got = 0; (got = ::read(said[0], part, sizeof part)) > 0;)
    all.append(part, static_cast<std::size_t>(got));
  ::close(said[0]);
  SKIP_IF_DENIED(first);
  std::string wanted;
  for (int i = 0; i < 8; ++i) wanted += number(ENOSYS);
  EXPECT_EQ(all, wanted);
}

TEST(BindWitness, KeepsUpWithAHundredProcessesThatBindTenThousandTimes) {
  setup with;
  with.limits.records = 6000;
  const outcome result = run(
      [](auto say) {
        std::vector<pid_t> children;
        for (int i = 0; i < 100; ++i) {
          const pid_t child = ::fork();
          if (child == 0) {
            int failed = 0;
            for (int j = 0; j < 100; ++j) {
              const int fd = tcp_socket();
              failed += try_bind(fd, 0) != 0;
              ::close(fd);
            }
            ::_exit(failed);
          }
          children.push_back(child);
        }
        int failed = 0;
        for (const pid_t child : children) {
          int status = 0;
          ::waitpid(child, &status, 0);
          failed += status != 0;
        }
        say(number(failed));
      },
      with);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  EXPECT_THAT(result.binds, SizeIs(6000));
  EXPECT_EQ(result.unrecorded, 4000U);
  std::set<int> pids;
  for (const auto& each : result.binds) pids.insert(each.pid);
  EXPECT_GT(pids.size(), 30U);
}

}  // namespace
