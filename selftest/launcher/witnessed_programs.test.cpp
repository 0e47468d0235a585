// SPDX-License-Identifier: BSL-1.0
//
// Binds of static and of 32-bit programs, and of one under strace.
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/forked.hpp"
#include "../support/private_network.hpp"
#include "../support/run_program.hpp"
#include "bind_calls.hpp"
#include "bind_supervisor.hpp"
#include "witness_harness.hpp"

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::SizeIs;
using witness::number;
using witness::numbers;
using witness::outcome;
using witness::run;
using witness::tcp_socket;

std::string port_text(const tidewait::port_lease& lease) { return std::to_string(lease.number()); }

/// Replaces the child by a program.
outcome run_under(const std::vector<std::string>& command) {
  return run([&](auto say) {
    const selftest::run_result done = selftest::run_together(command);
    say(number(done.status) + done.out);
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

/// Where the kernel takes none, it answers ENOSYS, or ends the program (SIGSEGV).
bool takes_32_bit_calls() {
  forked tried{[](auto say) {
    constexpr long getpid_32 = 20;
    if (call_32(getpid_32, 0, 0, 0) == ::getpid()) say("yes");
  }};
  return tried.all() == "yes";
}

TEST(BindWitness, SeesTheCallsOf32BitX86In64BitPrograms) {
  if (!takes_32_bit_calls()) GTEST_SKIP() << "no 32-bit calls here";
  const outcome result = run([](auto say) {
    void* const low = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) {
      say("skip: no memory below 4 GiB");
      return;
    }
    const auto at = reinterpret_cast<long>(low);
    const sockaddr_in where = sockets::address(0);
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

/// A tool that runs a program, by its own means to start and watch it.
struct tool {
  const char* name;
  std::vector<std::string> options;
};

class BindWitnessTool : public testing::TestWithParam<tool> {};

TEST_P(BindWitnessTool, RunsThePrograms) {
  const outcome without = run_under({GetParam().name, "--version"});
  SKIP_WITHOUT_FILTER(without);
  if (without.said.rfind("0 ", 0) != 0) GTEST_SKIP() << "there is no " << GetParam().name;
  std::vector<std::string> command{GetParam().name};
  command.insert(command.end(), GetParam().options.begin(), GetParam().options.end());
  command.insert(command.end(), {SELFTEST_BIND_SUBJECT_PLAIN, "0"});
  const outcome result = run_under(command);
  if (result.said.find("ptrace") != std::string::npos) GTEST_SKIP() << result.said;
  EXPECT_THAT(result.said, HasSubstr("bind=0 listen=0"));
  ASSERT_THAT(result.binds, SizeIs(1)) << result.said;
  EXPECT_TRUE(result.binds[0].listening);
  EXPECT_EQ(result.binds[0].partial, "");
}

INSTANTIATE_TEST_SUITE_P(
    Each, BindWitnessTool,
    testing::Values(tool{"gdb", {"-nx", "-q", "-batch", "-ex", "run", "--args"}},
                    tool{"valgrind", {"-q"}}, tool{"setarch", {"-R"}}, tool{"nice", {}}),
    [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
