// SPDX-License-Identifier: BSL-1.0
//
// Runs tests that leave Unix sockets and stale socket files, under adapters that need no change to
// the code.
#include <string>

#include <gmock/gmock.h>

#include "../support/run_program.hpp"
#include "../support/unix_server.hpp"

namespace {

using selftest::run_result;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

run_result run(const selftest::words& environment) {
  return selftest::run_together({SELFTEST_GTEST_AUTO_SUBJECT, "--gtest_color=no"}, environment);
}

TEST(UnixSubject, FailsTheTestThatLeavesAListenerAndNoOther) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const run_result got = run({"UNIX_IN_FIRST=" + path});
  EXPECT_EQ(got.status, 1) << got.out;
  EXPECT_THAT(got.out,
              HasSubstr("tidewait: Auto.First left 1 Unix socket behind on " + path + "\n"));
  EXPECT_THAT(
      got.out,
      ContainsRegex("tolerate: path=[*]/.*/a[.]sock[+]test=Auto[.]First, in TIDEWAIT_POLICY"));
  EXPECT_THAT(got.out, HasSubstr("[       OK ] Auto.Second ("));
  EXPECT_THAT(got.out, HasSubstr(" 1 FAILED TEST\n"));
}

TEST(UnixSubject, FailsTheProgramForWhatASuiteLeaves) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const run_result got = run({"UNIX_IN_SUITE=" + path});
  EXPECT_EQ(got.status, 1) << got.out;
  EXPECT_THAT(got.out,
              HasSubstr("tidewait: suite Auto left 1 Unix socket behind on " + path + "\n"));
  EXPECT_THAT(got.out, HasSubstr("[       OK ] Auto.First ("));
}

TEST(UnixSubject, FailsTheTestThatLeavesAStaleFile) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const run_result got = run({"UNIX_IN_SUITE=" + path, "CLOSE_UNIX_IN_THIRD=1"});
  EXPECT_EQ(got.status, 1) << got.out;
  EXPECT_THAT(got.out,
              HasSubstr("tidewait: Auto.Third left 1 stale socket file behind: " + path + "\n"));
  EXPECT_THAT(got.out, HasSubstr(" 1 FAILED TEST\n"));
}

TEST(UnixSubject, FailsTheTestThatBindsClosesAndUnlinksNothing) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const run_result got = run({"UNIX_IN_FIRST=" + path, "CLOSE_UNIX_IN_FIRST=1"});
  EXPECT_EQ(got.status, 1) << got.out;
  EXPECT_THAT(got.out,
              HasSubstr("tidewait: Auto.First left 1 stale socket file behind: " + path + "\n"));
  EXPECT_THAT(got.out, Not(HasSubstr("suite Auto left"))) << "reported twice";
  EXPECT_THAT(got.out, HasSubstr(" 1 FAILED TEST\n"));
}

TEST(UnixSubject, ObeysThePolicyOfTheEnvironment) {
  const socket_folder there;
  const std::string path = there / "a.sock";
  const auto judged = [&](const char* rules) {
    const run_result got = run({"UNIX_IN_FIRST=" + path, std::string{"TIDEWAIT_POLICY="} + rules});
    ::unlink(path.c_str());
    return got;
  };
  EXPECT_EQ(judged(("path=" + there.path() + "/*").c_str()).status, 0);
  EXPECT_EQ(judged("path=*+test=Auto.Second").status, 1);
  const run_result warned = judged("warn:path=*");
  EXPECT_EQ(warned.status, 0) << warned.out;
  EXPECT_THAT(warned.out, HasSubstr("tidewait: warning: Auto.First left 1 Unix socket behind"));
  const run_result audited = judged("path=*, audit");
  EXPECT_THAT(audited.out, HasSubstr("  path=*: " + path + " in Auto.First\n"));
}

}  // namespace
