// SPDX-License-Identifier: BSL-1.0
#include <arpa/inet.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/loopback.hpp"
#include "../support/private_network.hpp"
#include "../support/run_program.hpp"
#include "bind_filter.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::ContainsRegex;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using tidewait::ip_address;
using tidewait::command::certainty;
using tidewait::command::read_call;
using tidewait::command::socket_kind;
using tidewait::command::stopped_call;
using witness::filter_line;
using witness::filter_step;
using witness::no_new_privs;
using witness::outcome;
using witness::run;
using witness::setup;

/// One call of bind(2) as a program makes it; its errno, 0 if it succeeded.
int try_bind(int fd, std::uint16_t port, const char* host = "127.0.0.1") {
  const sockaddr_in where = loopback::address(port, host);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ? 0 : errno;
}

int tcp_socket(int option = 0) {
  const int fd = loopback::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  if (option != 0) ::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
  return fd;
}

/// Each with a blank behind it. A list, since its parts are evaluated in order.
std::string numbers(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += std::to_string(value) + ' ';
  return text;
}
std::string number(int value) { return numbers({value}); }

std::string own_name() {
  std::array<char, 16> name{};
  ::prctl(PR_GET_NAME, name.data());
  return name.data();
}

// --- the filter ---

seccomp_data call_of(std::uint32_t architecture, std::uint32_t call, std::uint64_t first = 7) {
  seccomp_data data{};
  data.arch = architecture;
  data.nr = static_cast<int>(call);
  data.args[0] = first;
  data.args[1] = 0x1000;
  data.args[2] = 0xffffffff00000010;
  return data;
}

TEST(BindFilter, KnowsTheNumbersOfEachArchitecture) {
  const struct {
    std::uint32_t architecture, bind, listen;
  } all[] = {{AUDIT_ARCH_X86_64, 49, 50}, {AUDIT_ARCH_X86_64, 0x40000031, 0x40000032},
             {AUDIT_ARCH_I386, 361, 363}, {AUDIT_ARCH_AARCH64, 200, 201},
             {AUDIT_ARCH_ARM, 282, 284},  {AUDIT_ARCH_RISCV64, 200, 201}};
  for (const auto& each : all) {
    const auto bind = read_call(call_of(each.architecture, each.bind));
    const auto listen = read_call(call_of(each.architecture, each.listen));
    ASSERT_TRUE(bind && listen) << each.architecture;
    EXPECT_EQ(bind->call, stopped_call::bind);
    EXPECT_EQ(bind->fd, 7);
    EXPECT_EQ(bind->address, 0x1000U);
    EXPECT_EQ(bind->size, 16U);
    EXPECT_EQ(listen->call, stopped_call::listen);
    EXPECT_FALSE(read_call(call_of(each.architecture, each.bind + 7)));
  }
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_S390X, 49)));
}

TEST(BindFilter, ReadsSocketcallOf32BitX86) {
  const auto bind = read_call(call_of(AUDIT_ARCH_I386, 102, 2));
  const auto listen = read_call(call_of(AUDIT_ARCH_I386, 102, 4));
  ASSERT_TRUE(bind && listen);
  EXPECT_TRUE(bind->in_memory);
  EXPECT_EQ(bind->block, 0x1000U);
  EXPECT_EQ(listen->call, stopped_call::listen);
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_I386, 102, 3)));
  EXPECT_FALSE(read_call(call_of(AUDIT_ARCH_X86_64, 102, 2))) << "that is getuid";
}

TEST(BindFilter, SaysWhyThereIsNone) {
  using tidewait::command::explain_no_filter;
  EXPECT_EQ(explain_no_filter(filter_step::installed, 0), "");
  EXPECT_THAT(explain_no_filter(filter_step::rights, EACCES), HasSubstr("--witness"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EBUSY), HasSubstr("outer `tidewait run`"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EINVAL), HasSubstr("user notifications"));
  EXPECT_THAT(explain_no_filter(filter_step::install, EPERM), HasSubstr("denied"));
  EXPECT_THAT(explain_no_filter(filter_step::kernel, 0), HasSubstr("5.5"));
}

TEST(BindFilter, IsRefusedOnceMoreBelowAnother) {
  const outcome outer = run([](auto say) {
    filter_line line;
    forked inner{[&](auto say_inner) {
      line.install(setup{}.privileges);
      say_inner(number(try_bind(tcp_socket(), 0)));
    }};
    const auto answer = line.receive();
    say(numbers({static_cast<int>(answer.step), answer.error}) + inner.all());
  });
  SKIP_WITHOUT_FILTER(outer);
  EXPECT_EQ(outer.said, numbers({static_cast<int>(filter_step::install), EBUSY}) + "0 ");
  EXPECT_THAT(outer.binds, SizeIs(1)) << "the outer one sees what the inner one cannot";
}

TEST(BindFilter, LeavesNoDescriptorInTheChild) {
  const auto open_descriptors = [] {
    std::string all;
    for (int fd = 0; fd < 64; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) all += number(fd);
    }
    return all;
  };
  const outcome result = run([&](auto say) { say(open_descriptors()); });
  SKIP_WITHOUT_FILTER(result);
  filter_line line;
  forked plain{[&](auto say) { say(open_descriptors()); }};
  EXPECT_EQ(result.said, plain.all());
}

TEST(BindFilter, ThrowsIfTheChildEndsWithoutAnAnswer) {
  filter_line line;
  forked child{[](auto) {}};
  EXPECT_THROW(line.receive(), std::system_error);
}

// --- what is recorded ---

TEST(BindWitness, RecordsAServerOnAPortThatTheKernelChose) {
  const outcome result = run([](auto say) {
    const int fd = tcp_socket(SO_REUSEADDR);
    say(numbers({try_bind(fd, 0), ::listen(fd, 8)}));
    sockaddr_in got{};
    socklen_t size = sizeof got;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&got), &size);
    say(numbers({ntohs(got.sin_port), ::getpid()}));
  });
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(1));
  const auto& bind = result.binds.front();
  ASSERT_TRUE(bind.got);
  EXPECT_EQ(result.said, "0 0 " + numbers({bind.got->port, bind.pid}));
  EXPECT_EQ(bind.kind, socket_kind::tcp);
  EXPECT_EQ(to_string(*bind.asked), "127.0.0.1:*");
  EXPECT_TRUE(bind.kernel_chose_port);
  EXPECT_TRUE(bind.reuse_address);
  EXPECT_FALSE(bind.reuse_port);
  EXPECT_TRUE(bind.listening);
  EXPECT_FALSE(bind.error);
  EXPECT_EQ(bind.sure, certainty::seen);
  EXPECT_EQ(bind.thread, bind.pid);
  EXPECT_NE(bind.cookie, 0U);
  EXPECT_NE(bind.net_cookie, 0U);
  EXPECT_EQ(bind.command, own_name());
  EXPECT_EQ(bind.partial, "");
}

TEST(BindWitness, RecordsAnExplicitPortOfUdpAndOfIpv6) {
  const auto leases = tidewait::lease_ports(2, tidewait::protocol_set::tcp_and_udp);
  witness::barrier looked;
  setup with;
  with.settled = [&](const auto& binds) {
    if (binds.size() == 2) looked.open();
  };
  const outcome result = run(
      [&](auto say) {
        say(number(loopback::bind_to(leases[0].number(), SOCK_DGRAM, false) < 0));
        const int six = ::socket(AF_INET6, SOCK_STREAM, 0);
        const int on = 1;
        ::setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        sockaddr_in6 where{};
        where.sin6_family = AF_INET6;
        where.sin6_port = htons(leases[1].number());
        where.sin6_addr = in6addr_loopback;
        const bool bound = ::bind(six, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
        say(number(bound ? 0 : errno));
        looked.wait();
      },
      with);
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.said, "0 0 ");
  EXPECT_EQ(result.binds[0].kind, socket_kind::udp);
  EXPECT_EQ(result.binds[0].asked->port, leases[0].number());
  EXPECT_FALSE(result.binds[0].kernel_chose_port);
  EXPECT_EQ(result.binds[0].sure, certainty::seen);
  EXPECT_EQ(to_string(*result.binds[1].asked), "[::1]:" + std::to_string(leases[1].number()));
  EXPECT_EQ(result.binds[1].scope, tidewait::ipv6_only::yes);
  EXPECT_FALSE(result.binds[1].listening);
}

TEST(BindWitness, LeavesUnixSocketsAlone) {
  const std::string name = "tidewait-selftest-" + std::to_string(::getpid());
  const outcome result = run([&](auto say) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::memcpy(where.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(sizeof where.sun_family + 1 + name.size());
    say(numbers({::bind(fd, reinterpret_cast<sockaddr*>(&where), size), ::listen(fd, 1)}));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 0 ");
  ASSERT_FALSE(result.binds.empty());
  EXPECT_EQ(result.binds.front().kind, socket_kind::local);
  EXPECT_EQ(result.binds.front().path, '@' + name);
  EXPECT_THAT(result.failures, IsEmpty());
}

TEST(BindWitness, RecordsAListenThatNoBindCameBefore) {
  const outcome result = run([](auto say) { say(number(::listen(tcp_socket(), 8))); });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_FALSE(result.binds.front().asked);
  EXPECT_TRUE(result.binds.front().kernel_chose_port);
  EXPECT_TRUE(result.binds.front().listening);
}

TEST(BindWitness, TellsAListenAfterAFailedBindFromThatBind) {
  const auto port = tidewait::lease_port();
  const int taken = loopback::listen_on(port.number(), false);
  const outcome result = run([&](auto say) {
    const int fd = tcp_socket();
    say(numbers({try_bind(fd, port.number()), ::listen(fd, 8)}));
  });
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, number(EADDRINUSE) + "0 ");
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.binds[0].error, std::errc::address_in_use);
  EXPECT_FALSE(result.binds[0].listening);
  EXPECT_TRUE(result.binds[1].kernel_chose_port);
  EXPECT_TRUE(result.binds[1].listening);
}

TEST(BindWitness, PassesOnWhatCannotBeRead) {
  const outcome result = run([](auto say) {
    const auto* const nowhere = reinterpret_cast<const sockaddr*>(8);
    say(number(::bind(tcp_socket(), nowhere, 16) == 0 ? 0 : errno));
    say(numbers({try_bind(-1, 0), try_bind(0, 0)}));
    say(number(::listen(-1, 1) == 0 ? 0 : errno));
    const sockaddr_in where = loopback::address(0);
    const auto* const address = reinterpret_cast<const sockaddr*>(&where);
    say(number(::bind(tcp_socket(), address, 0xffffff) == 0 ? 0 : errno));
    say(number(::bind(tcp_socket(), address, 0) == 0 ? 0 : errno));
  });
  SKIP_WITHOUT_FILTER(result);
  const int not_socket = ENOTSOCK;
  EXPECT_THAT(result.said, HasSubstr(numbers({EFAULT, EBADF, not_socket})));
  EXPECT_THAT(result.said, HasSubstr(numbers({EBADF, EINVAL, EINVAL})));
  EXPECT_THAT(result.failures, IsEmpty());
}

TEST(BindWitness, InfersThatASecondBindFails) {
  const auto ports = tidewait::lease_ports(2, tidewait::protocol_set::tcp);
  const outcome result = run([&](auto say) {
    const int fd = tcp_socket();
    say(numbers({try_bind(fd, ports[0].number()), try_bind(fd, ports[1].number())}));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 " + number(EINVAL));
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_FALSE(result.binds[0].error);
  EXPECT_EQ(result.binds[1].error, std::errc::invalid_argument);
  EXPECT_THAT(result.failures, IsEmpty());
}

// --- binds that fail ---

TEST(BindWitness, ExplainsAFailureWhileTheCallerWaits) {
  const auto port = tidewait::lease_port();
  int taken = loopback::listen_on(port.number(), false);
  setup with;
  with.why = [&](const auto& bind) {
    EXPECT_EQ(bind.error, std::errc::address_in_use);
    EXPECT_EQ(bind.asked->port, port.number());
    ::close(std::exchange(taken, -1));
    return std::nullopt;
  };
  const outcome result = run(
      [&](auto say) {
        ::close(taken);  // its copy
        say(number(try_bind(tcp_socket(), port.number())));
      },
      with);
  if (taken >= 0) ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ") << "the caller had not waited, or its call was made for it";
  EXPECT_THAT(result.failures, SizeIs(1));
}

TEST(BindWitness, ExplainsEachEndpointOnceAndCounts) {
  const auto port = tidewait::lease_port();
  const int taken = loopback::listen_on(port.number(), false);
  int explained = 0;
  setup with;
  with.limits.same_culprit = std::chrono::hours{1};
  with.why = [&](const auto&) {
    ++explained;
    return std::nullopt;
  };
  const outcome result = run(
      [&](auto say) {
        int failed = 0;
        for (int i = 0; i < 20; ++i) failed += try_bind(tcp_socket(), port.number()) == EADDRINUSE;
        failed += try_bind(tcp_socket(), port.number(), "0.0.0.0") == EADDRINUSE;
        say(number(failed));
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "21 ");
  EXPECT_EQ(explained, 2);
  ASSERT_THAT(result.failures, SizeIs(2));
  EXPECT_EQ(result.failures[0].count, 20U);
  EXPECT_EQ(result.failures[1].count, 1U);
  EXPECT_EQ(result.binds.front().sure, certainty::inferred);
}

TEST(BindWitness, TellsTheCulpritsOnAnEndpointApart) {
  const auto port = tidewait::lease_port();
  const int taken = loopback::listen_on(port.number(), false);
  std::uint64_t culprit = 0;
  setup with;
  with.limits.same_culprit = {};
  with.why = [&](const auto&) {
    tidewait::diagnosis why;
    why.conflicting.emplace_back();
    why.conflicting.back().cookie = ++culprit / 4;  // three calls, then four for each
    return std::optional{why};
  };
  const outcome result = run(
      [&](auto) {
        for (int i = 0; i < 11; ++i) try_bind(tcp_socket(), port.number());
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  ASSERT_THAT(result.failures, SizeIs(3));
  EXPECT_EQ(result.failures[0].count, 3U);
  EXPECT_EQ(result.failures[1].count, 4U);
  EXPECT_EQ(result.failures[2].count, 4U);
}

TEST(BindWitness, SurvivesAnExplanationThatThrows) {
  const auto port = tidewait::lease_port();
  const int taken = loopback::listen_on(port.number(), false);
  setup with;
  with.why = [&](const auto&) -> std::optional<tidewait::diagnosis> {
    throw std::runtime_error{"out of descriptors"};
  };
  const outcome result =
      run([&](auto say) { say(number(try_bind(tcp_socket(), port.number()))); }, with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, number(EADDRINUSE));
}

TEST(BindWitness, InfersAnAddressThatIsNotOfThisMachine) {
  const outcome result = run([](auto say) {
    say(number(try_bind(tcp_socket(), 8080, "192.0.2.1")));
    say(number(try_bind(tcp_socket(), 0, "192.0.2.1")));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, numbers({EADDRNOTAVAIL, EADDRNOTAVAIL}));
  ASSERT_THAT(result.failures, SizeIs(2));
  EXPECT_EQ(result.failures[0].first.error, std::errc::address_not_available);
}

TEST(BindWitness, InfersThatAnUnprivilegedCallerGetsNoPrivilegedPort) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, so that the caller has fewer rights";
  const std::string said = in_private_network(
      [](auto say) {
        const outcome result = run([](auto say_inner) {
          say_inner(number(try_bind(tcp_socket(), 81)));
          witness::become_nobody();
          say_inner(number(try_bind(tcp_socket(), 82)));
        });
        if (result.skip()) return say("skip: " + result.why_skip());
        std::string errors;
        for (const auto& each : result.binds) errors += number(each.error.value());
        return say(result.said + errors);
      },
      user_ids::kept);
  SKIP_IF_DENIED(said);
  EXPECT_EQ(said, "0 " + number(EACCES) + "0 " + number(EACCES));
}

TEST(BindWitness, SeesThatAListenFailed) {
  const auto port = tidewait::lease_port();
  const int taken = loopback::bind_to(port.number());
  witness::barrier both_called;
  setup with;
  with.settled = [&](const auto& binds) {
    if (binds.front().listening || binds.front().error) both_called.open();
  };
  const outcome result = run(
      [&](auto say) {
        const int fd = tcp_socket(SO_REUSEADDR);
        say(number(try_bind(fd, port.number())));
        // Between the two calls, as if it were another server: the first to listen wins.
        forked other{[&](auto) { ::listen(taken, 8); }};
        other.wait();
        say(number(::listen(fd, 8) == 0 ? 0 : errno));
        both_called.wait();
      },
      with);
  ::close(taken);
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 " + number(EADDRINUSE));
  ASSERT_FALSE(result.binds.empty());
  EXPECT_EQ(result.binds[0].error, std::errc::address_in_use);
  EXPECT_FALSE(result.binds[0].listening);
  EXPECT_THAT(result.failures, SizeIs(1));
}

// --- what must not change ---

TEST(BindWitness, LetsTwoServersShareAPort) {
  const auto port = tidewait::lease_port();
  const outcome result = run([&](auto say) {
    for (int i = 0; i < 2; ++i) {
      const int fd = tcp_socket(SO_REUSEPORT);
      say(numbers({try_bind(fd, port.number()), ::listen(fd, 8)}));
    }
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 0 0 0 ");
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_TRUE(result.binds[1].reuse_port);
  EXPECT_FALSE(result.binds[1].error);
}

TEST(BindWitness, KnowsThatOnlyOneUserMayShareAPort) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  const auto port = tidewait::lease_port();
  const int root = tcp_socket(SO_REUSEPORT);
  ASSERT_EQ(try_bind(root, port.number()), 0);
  const outcome other = run([&](auto say) {
    witness::become_nobody();
    say(number(try_bind(tcp_socket(SO_REUSEPORT), port.number())));
  });
  ::close(root);
  SKIP_WITHOUT_FILTER(other);
  EXPECT_EQ(other.said, number(EADDRINUSE));
  EXPECT_EQ(other.binds.front().error, std::errc::address_in_use);
  const outcome same = run([&](auto say) {
    witness::become_nobody();
    for (int i = 0; i < 2; ++i) say(number(try_bind(tcp_socket(SO_REUSEPORT), port.number())));
  });
  EXPECT_EQ(same.said, "0 0 ");
  EXPECT_FALSE(same.binds.back().error);
}

TEST(BindWitness, KeepsNoPortTaken) {
  const auto port = tidewait::lease_port();
  const outcome result = run([&](auto say) {
    int failed = 0;
    for (int i = 0; i < 300; ++i) {
      const int fd = tcp_socket();
      failed += try_bind(fd, port.number()) != 0 || ::listen(fd, 1) != 0;
      ::close(fd);
    }
    say(number(failed));
  });
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 ");
  EXPECT_THAT(result.binds, SizeIs(300));
  EXPECT_THAT(result.failures, IsEmpty());
}

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

// --- deaths ---

TEST(BindWitness, LetsACallerBeKilledWhileItWaits) {
  filter_line line;
  forked child{[&](auto say) {
    line.install(setup{}.privileges);
    say("\n");
    try_bind(tcp_socket(), 0);
  }};
  auto answer = line.receive();
  if (!answer.listener) {
    GTEST_SKIP() << tidewait::command::explain_no_filter(answer.step, answer.error);
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
  const int taken = loopback::listen_on(port.number(), false);
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
      say("skip: " + tidewait::command::explain_no_filter(answer.step, answer.error) + '\n');
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

// --- many ---

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

// --- other programs ---

std::string port_text(const tidewait::port_lease& lease) { return std::to_string(lease.number()); }

/// Replaces the child by a program.
outcome run_under(const std::vector<std::string>& command) {
  return run([&](auto say) {
    const selftest::program_run done = selftest::run_program(command);
    say(number(done.status) + done.output);
  });
}

TEST(BindWitness, SeesStaticPrograms) {
#ifdef SELFTEST_BIND_SUBJECT_STATIC
  const auto port = tidewait::lease_port();
  const outcome result = run_under({SELFTEST_BIND_SUBJECT_STATIC, port_text(port)});
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 bind=0 listen=0\n");
  ASSERT_THAT(result.binds, SizeIs(1));
  EXPECT_EQ(result.binds[0].asked->port, port.number());
  EXPECT_EQ(result.binds[0].command, "bind_subject_st");
#else
  GTEST_SKIP() << "this compiler links no static programs";
#endif
}

TEST(BindWitness, Sees32BitPrograms) {
#ifdef SELFTEST_BIND_SUBJECT_M32
  const auto port = tidewait::lease_port();
  const outcome result = run_under({SELFTEST_BIND_SUBJECT_M32, port_text(port)});
  SKIP_WITHOUT_FILTER(result);
  EXPECT_EQ(result.said, "0 bind=0 listen=0\nsocketcall: bind=0 listen=0\n");
  ASSERT_THAT(result.binds, SizeIs(2));
  EXPECT_EQ(result.binds[0].asked->port, port.number());
  EXPECT_TRUE(result.binds[0].listening);
  EXPECT_TRUE(result.binds[1].kernel_chose_port);
  EXPECT_TRUE(result.binds[1].listening);
#else
  GTEST_SKIP() << "this compiler makes no 32-bit programs (Debian, Ubuntu: gcc-multilib)";
#endif
}

#ifdef __x86_64__
/// A call by the 32-bit entry of a 64-bit program; its result, which may be -errno.
long call_32(long number, long first, long second, long third) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third)
               : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int>(result);
}

TEST(BindWitness, SeesTheCallsOf32BitX86In64BitPrograms) {
  const outcome result = run([](auto say) {
    void* const low = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED || call_32(20, 0, 0, 0) != ::getpid()) {
      say("skip: no 32-bit calls here");
      return;
    }
    const auto at = reinterpret_cast<long>(low);
    const sockaddr_in where = loopback::address(0);
    std::memcpy(low, &where, sizeof where);
    const int first = tcp_socket();
    say(numbers({int(call_32(361, first, at, sizeof where)), int(call_32(363, first, 8, 0))}));
    const int second = tcp_socket();
    std::uint32_t block[] = {std::uint32_t(second), std::uint32_t(at), sizeof where};
    std::memcpy(static_cast<char*>(low) + 64, block, sizeof block);
    say(number(int(call_32(102, 2, at + 64, 0))));
    block[1] = 8;
    std::memcpy(static_cast<char*>(low) + 64, block, sizeof block);
    say(number(int(call_32(102, 4, at + 64, 0))));
    say(number(int(call_32(102, 2, 8, 0))));
  });
  SKIP_WITHOUT_FILTER(result);
  SKIP_IF_DENIED(result.said);
  EXPECT_EQ(result.said, "0 0 0 0 " + number(-EFAULT));
  ASSERT_THAT(result.binds, SizeIs(3));
  EXPECT_TRUE(result.binds[0].listening);
  EXPECT_TRUE(result.binds[1].listening);
  EXPECT_THAT(result.binds[2].partial, HasSubstr("cannot be looked at"));
}
#endif

TEST(BindWitness, WorksUnderStrace) {
  const outcome without = run_under({"strace", "-V"});
  SKIP_WITHOUT_FILTER(without);
  if (without.said.rfind("0 ", 0) != 0) GTEST_SKIP() << "there is no strace";
  const outcome result =
      run_under({"strace", "-f", "-e", "trace=bind", SELFTEST_BIND_SUBJECT_PLAIN, "0"});
  if (result.said.find("ptrace") != std::string::npos) GTEST_SKIP() << result.said;
  EXPECT_THAT(result.said, HasSubstr("bind=0 listen=0"));
  EXPECT_THAT(result.said, ContainsRegex("bind\\([0-9]+, \\{sa_family=AF_INET"));
  EXPECT_THAT(result.binds, SizeIs(1));
  EXPECT_EQ(result.binds.at(0).partial, "");
}

}  // namespace
