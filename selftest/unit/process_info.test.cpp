// SPDX-License-Identifier: BSL-1.0
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/process_info.hpp>

#include "swapped_system.hpp"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tidewait::detail::is_of_own_user;
using tidewait::detail::open_process;
using tidewait::detail::own_line;
using tidewait::detail::parse_process_stat;
using tidewait::detail::parse_process_status;
using tidewait::detail::process_status;
using tidewait::detail::read_command_line;
using tidewait::detail::read_environment;
using tidewait::detail::read_process_name;
using tidewait::detail::read_process_stat;
using tidewait::detail::read_process_status;
using tidewait::detail::send_signal;
using tidewait::detail::unique_fd;

/// From field 4 on, as Linux 6.18 printed it of a process with 3 threads.
constexpr const char* rest =
    " 4 7 6 0 -1 4194368 110 0 0 0 0 0 0 0 20 0 3 0 4294967399 2789376 437 18446744073709551615 "
    "94004 94021 140721 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94036 94037 94040 140722 140723 140724 "
    "140725 0\n";

TEST(ProcessStat, IsReadBehindAnyName) {
  for (const std::string name : {"server", "a b", "a) R 1 (b", ":) ) ) Z 1 1 1", "", "(", ")",
                                 ") (", "\xff\n", "x\n7 (y) Z 1"}) {
    const auto stat = parse_process_stat("7 (" + name + ") S" + rest);
    ASSERT_TRUE(stat) << name;
    EXPECT_EQ(stat->pid, 7);
    EXPECT_EQ(stat->name, name);
    EXPECT_EQ(stat->state, 'S') << name;
    EXPECT_EQ(stat->parent, 4) << name;
    EXPECT_EQ(stat->group, 7) << name;
    EXPECT_EQ(stat->session, 6) << name;
    EXPECT_EQ(stat->flags, 4194368U) << name;
    EXPECT_EQ(stat->threads, 3U) << name;
    EXPECT_EQ(stat->start, 4294967399U) << "beyond 32 bits: 500 days after boot";
  }
}

TEST(ProcessStat, IsNothingWhereAFieldIsMissingOrNoNumber) {
  const std::string whole = std::string{"7 (server) S"} + rest;
  EXPECT_TRUE(parse_process_stat(whole));
  const std::string to_the_start = whole.substr(0, whole.find(" 2789376"));
  EXPECT_TRUE(parse_process_stat(to_the_start));
  for (std::size_t length = 0; length <= to_the_start.rfind(' '); ++length) {
    EXPECT_FALSE(parse_process_stat(whole.substr(0, length))) << length;
  }
  const std::string tail = whole.substr(whole.find(" 7 6 0"));
  for (const char* front : {"7 (server) S x", "7 (server) S -1", "7 (server) S 4x",
                            "7 (server) S 4294967296", "7 (server) SS 4", "x (server) S 4",
                            "-7 (server) S 4", "(server) S 4", "7 server S 4", "7 )server( S 4"}) {
    EXPECT_FALSE(parse_process_stat(front + tail)) << front;
  }
  EXPECT_FALSE(parse_process_stat(std::string{"7 (server) S 4 7 6 0 -1 4194368\n"} + rest))
      << "one line";
}

TEST(ProcessStat, HasEndedOnlyWithoutAnyThread) {
  const auto with = [](const std::string& state, const std::string& threads) {
    const auto stat = parse_process_stat("7 (x) " + state + " 4 7 6 0 -1 1 1 0 0 0 0 0 0 0 20 0 " +
                                         threads + " 0 99 0 0\n");
    return stat && stat->ended();
  };
  EXPECT_TRUE(with("Z", "1"));
  EXPECT_TRUE(with("Z", "0"));
  EXPECT_TRUE(with("X", "0")) << "about to be reaped";
  EXPECT_FALSE(with("Z", "2")) << "only its first thread has ended";
  EXPECT_FALSE(with("X", "2"));
  for (const char* state : {"R", "S", "D", "T", "t", "I", "P", "?"}) {
    EXPECT_FALSE(with(state, "1")) << state;
  }
}

TEST(ProcessStatus, IsReadWithUsersAndThePidsOfAllNamespaces) {
  const process_status status = parse_process_status(
      "Name:\ta b)\nUmask:\t0022\nState:\tZ (zombie)\nPid:\t12\nPPid:\t7\n"
      "Uid:\t1000\t1001\t1002\t1003\nGid:\t1\t2\t3\t4\nNSpid:\t12\t3\t1\nThreads:\t2\n");
  EXPECT_EQ(status.state, 'Z');
  EXPECT_EQ(status.threads, 2U);
  EXPECT_FALSE(status.ended());
  EXPECT_EQ(status.real_uid, 1000U);
  EXPECT_EQ(status.uid, 1001U);
  EXPECT_THAT(status.pids, ElementsAre(12, 3, 1));
  EXPECT_TRUE(parse_process_status("State:\tX (dead)\nThreads:\t1\n").ended());
  EXPECT_FALSE(parse_process_status("State:\tS (sleeping)\nThreads:\t1\n").ended());
}

TEST(ProcessStatus, StaysEmptyWhereTheTextSaysNothing) {
  for (const char* text :
       {"", "Uid:", "Uid:\tx\t1", "Uid:\t4294967296\t1", "Gid:\t1\t2", "NSpid:\n", "NSpid:\tx 1",
        "State:", "State:\n", "Threads:\tx", "\n\n"}) {
    const process_status status = parse_process_status(text);
    EXPECT_EQ(status.real_uid, std::nullopt) << text;
    EXPECT_THAT(status.pids, IsEmpty()) << text;
    EXPECT_FALSE(status.ended()) << text;
  }
  EXPECT_EQ(parse_process_status("Uid:\t1000").uid, std::nullopt);
}

TEST(ProcessInfo, BelongsToTheUserWhoStartedIt) {
  process_status status;
  EXPECT_FALSE(is_of_own_user(status)) << "not known";
  status.uid = ::getuid();
  status.real_uid = ::getuid() + 1;
  EXPECT_FALSE(is_of_own_user(status)) << "another user runs a set-user-ID program of ours";
  status.uid = ::getuid() + 1;
  status.real_uid = ::getuid();
  EXPECT_TRUE(is_of_own_user(status)) << "we run one of another user's";
  EXPECT_TRUE(is_of_own_user(open_process("self").get()));
  EXPECT_FALSE(is_of_own_user(-1));
}

TEST(ProcessInfo, ReadsThisProcess) {
  const unique_fd self = open_process(::getpid());
  ASSERT_TRUE(self);
  const auto stat = read_process_stat(self.get());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, ::getpid());
  EXPECT_EQ(stat->parent, ::getppid());
  EXPECT_EQ(stat->group, ::getpgrp());
  EXPECT_FALSE(stat->ended());
  EXPECT_EQ(stat->name, read_process_name(self.get()));
  const auto status = read_process_status(self.get());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->uid, ::geteuid());
  EXPECT_EQ(status->pids.back(), ::getpid());
  std::error_code error;
  const std::vector<int> line = own_line(error);
  ASSERT_GE(line.size(), 2U);
  EXPECT_EQ(line[0], ::getpid());
  EXPECT_EQ(line[1], ::getppid());
}

TEST(ProcessInfo, StaysWithAProcessThatIsGone) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const unique_fd process = open_process(child);
  EXPECT_FALSE(send_signal(process.get(), 0));
  EXPECT_FALSE(send_signal(process.get(), SIGKILL));
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  const auto stat = read_process_stat(process.get());
  ASSERT_TRUE(stat) << "it is there until it is reaped";
  EXPECT_TRUE(stat->ended());
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(read_process_stat(process.get()));
  EXPECT_FALSE(read_process_status(process.get()));
  EXPECT_EQ(send_signal(process.get(), SIGKILL), std::errc::no_such_process);
  EXPECT_FALSE(open_process(child));
}

TEST(ProcessInfo, CapsWhatAProcessChoosesTheSizeOf) {
  using tidewait::detail::most_of_an_environment;
  const proc_tree proc;
  proc.process(7, 1, "huge", {});
  proc.file("7/cmdline", std::string(std::size_t{3} << 20U, 'x'));
  proc.file("7/environ", std::string(most_of_an_environment + 1, 'x'));
  proc.file("7/comm", std::string(100000, 'x'));
  const unique_fd process = open_process(7);
  EXPECT_EQ(read_command_line(process.get()), std::string(4093, 'x') + "...");
  EXPECT_LE(read_process_name(process.get()).size(), 64U);
  std::string text;
  EXPECT_EQ(read_environment(process.get(), text), std::errc::file_too_large);
  EXPECT_EQ(text.size(), most_of_an_environment);
  proc.file("7/environ", std::string(most_of_an_environment, 'x'));
  EXPECT_FALSE(read_environment(process.get(), text));
}

TEST(ProcessInfo, FindsNoEndlessLineOfParents) {
  const proc_tree proc;
  proc.link("self", "7");
  proc.process(7, 8, "a", {});
  proc.process(8, 7, "b", {});
  std::error_code error;
  EXPECT_THAT(own_line(error), ElementsAre(7, 8));
}

}  // namespace
