// SPDX-License-Identifier: BSL-1.0
//
// What is hard to see or to end.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A file that everything which `unruly` leaves keeps locked. No look at /proc shows that a process
/// which forks and exits on and on is gone; that the lock is free does.
class lock_file {
 public:
  const std::string& path() const { return path_; }
  bool is_free() const {
    const int file = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    const bool locked = file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0;
    ::close(file);
    return locked;
  }

 private:
  directory in_;
  std::string path_ = in_ / "lock";
};

words unruly(const lock_file& lock, const words& ways) {
  words command{SELFTEST_UNRULY, "lock", lock.path()};
  command.insert(command.end(), ways.begin(), ways.end());
  return command;
}

class Unruly : public testing::TestWithParam<const char*> {
 protected:
  lock_file lock;
};

class ForksAndExits : public Unruly {};
INSTANTIATE_TEST_SUITE_P(OnAndOn, ForksAndExits, testing::Values("hop", "hop_sessions"));

TEST_P(ForksAndExits, FailsTheRunAndIsEnded) {
  for (const char* max_wait : {"0ms", "20ms", "250ms"}) {
    const outcome left = run(wrapped({"--max-wait", max_wait}, unruly(lock, {GetParam()})));
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, AllOf(HasSubstr(" running: "), Not(HasSubstr("could not look"))));
    EXPECT_TRUE(lock.is_free()) << left.err;
  }
}

TEST_P(ForksAndExits, IsNotToleratedWithAnother) {
  const std::string seconds = unique_seconds();
  const std::string script = "sleep " + seconds + " >/dev/null 2>&1 & echo $!; exec " +
                             SELFTEST_UNRULY + " lock " + lock.path() + ' ' + GetParam();
  for (const char* max_wait : {"0ms", "50ms"}) {
    const outcome left = run_shell({"--tolerate", "owner=sleep", "--max-wait", max_wait}, script);
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, HasSubstr("unruly"));
    EXPECT_TRUE(lock.is_free()) << left.err;
    EXPECT_EQ(::kill(std::atoi(left.out.c_str()), SIGKILL), 0) << "tolerated, so still there";
  }
}

TEST_P(ForksAndExits, IsEndedInANamespaceOfItsOwn) {
  SKIP_WITHOUT_ISOLATION();
  for (const char* to_keeper : {"kill_keeper", "stop_keeper", "neither"}) {
    const outcome left = run(wrapped({"--isolate=require"}, unruly(lock, {to_keeper, GetParam()})));
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_TRUE(lock.is_free()) << to_keeper << '\n' << left.err;
  }
}

TEST_F(Unruly, AProcessWhoseMainThreadHasEndedIsSeenAndEnded) {
  const outcome left = run(wrapped({}, unruly(lock, {"thread"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, AllOf(HasSubstr("left 1 process running: unruly\n"),
                              Not(HasSubstr("could not look"))));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, AProcessWhoseMainThreadHasEndedAndThatIgnoresSigtermIsKilled) {
  const outcome left = run(wrapped({}, unruly(lock, {"ignore_sigterm", "thread"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("1 process ignored SIGTERM and was killed\n"));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, ACommandLineOfGigabytesIsNotRead) {
  unsigned size = 0;
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) != 0) {
    GTEST_SKIP() << "this kernel has no PR_SET_MM_MAP";
  }
  // The launcher may have 1 GB of addresses, the command any number.
  words command{"sh", "-c", "ulimit -S -v 1000000; exec \"$@\"", "sh"};
  const words inner{"sh", "-c", "ulimit -S -v unlimited; exec \"$@\"", "sh"};
  for (const char* around : {"--isolate=no", "--isolate"}) {
    words all = command;
    words what = inner;
    for (const auto& each : unruly(lock, {"huge"})) what.push_back(each);
    for (const auto& each : wrapped({around}, what)) all.push_back(each);
    const outcome left = run(all);
    EXPECT_EQ(left.status, 97) << left.err;
    EXPECT_THAT(left.err, AllOf(HasSubstr("left 1 process running: unruly\n"),
                                HasSubstr("(too large to read)")));
    EXPECT_TRUE(lock.is_free());
  }
}

TEST_F(Unruly, AChildThatHasBecomeAnotherUserIsEndedByRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot become another user";
  const outcome left = run(wrapped({}, unruly(lock, {"as_nobody"})));
  EXPECT_EQ(left.status, 97);
  EXPECT_THAT(left.err, HasSubstr("left 1 process running: unruly\n"));
  EXPECT_TRUE(lock.is_free());
}

TEST_F(Unruly, WhatMayNotBeEndedIsSaid) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root: cannot make a set-user-ID program";
  SKIP_WITHOUT("setpriv");
  const directory place;
  const std::string program = place / "setuid_unruly";
  ASSERT_EQ(run({"cp", SELFTEST_UNRULY, program}).status, 0);
  ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
  ASSERT_EQ(::chmod((place / ".").c_str(), 0755), 0);
  words command{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"};
  for (const auto& each : wrapped({}, {program, "as_root"})) command.push_back(each);
  const outcome left = run(command);
  EXPECT_EQ(left.status, 97) << left.err;
  const std::string cannot_end = "tidewait: cannot end pid ";
  const auto said = left.err.find(cannot_end);
  if (said == std::string::npos) {
    ASSERT_THAT(left.err, HasSubstr(" running: "))
        << "is the directory for temporary files nosuid?";
  }
  ASSERT_NE(said, std::string::npos) << left.err;
  EXPECT_THAT(left.err, AllOf(HasSubstr(": Operation not permitted"), Not(HasSubstr("timed out"))));
  EXPECT_EQ(::kill(std::atoi(left.err.c_str() + said + cannot_end.size()), SIGKILL), 0);
}

TEST_F(Unruly, ACommandThatStopsTheKeeperHoldsNobodyUp) {
  SKIP_WITHOUT_ISOLATION();
  for (const char* way : {"stop_keeper", "kill_keeper"}) {
    const outcome clean = run(wrapped({"--isolate=require"}, unruly(lock, {way})));
    EXPECT_EQ(clean.status, 0) << clean.err;
    EXPECT_EQ(clean.out, "signalled the keeper\n");
  }
}

TEST_F(Unruly, AKeeperThatWasStoppedStillEndsWhatAKilledLauncherLeaves) {
  SKIP_WITHOUT_ISOLATION();
  running launcher{wrapped({"--isolate=require"},
                           unruly(lock, {"thread", "hop_sessions", "stop_keeper", "serve", "0"}))};
  ASSERT_TRUE(launcher.says("ready"));
  ::kill(launcher.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return lock.is_free(); }));
}

// The signal by which a write beyond RLIMIT_FSIZE ends a process hits neither the launcher nor,
// from there, the command.
TEST(Launcher, IsNotEndedByALimitOnTheSizeOfFiles) {
  const directory place;
  const std::string left = unique_seconds();
  selftest::run_options limited;
  limited.environment = {"TIDEWAIT_JOURNAL=" + (place / "journal.jsonl")};
  limited.prepare = [] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
  };
  const outcome got = selftest::run_program(
      wrapped({"--json", place / "report.json"}, shell("sleep " + left + " >/dev/null 2>&1 &")),
      limited);
  EXPECT_EQ(got.status, 97) << got.err;
  EXPECT_THAT(got.err, AllOf(HasSubstr("left 1 process running: sleep"),
                             HasSubstr("report.json: File too large")));
  EXPECT_FALSE(is_alive(left));
}

}  // namespace
