// SPDX-License-Identifier: BSL-1.0
//
// The fixture where it cannot see everything: never clean without having looked.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/run_program.hpp"

namespace {

class BlindSubject : public testing::Test {
 protected:
  selftest::program_run run(const std::string& filter, std::vector<std::string> restrictions) {
    restrictions.insert(restrictions.begin(), {SELFTEST_GTEST_BLIND_SUBJECT, "--gtest_color=no",
                                               "--gtest_filter=" + filter});
    const selftest::program_run run = selftest::run_program(restrictions);
    denied_ = run.status == 42;
    return run;
  }
  static bool has(const selftest::program_run& run, const std::string& text) {
    return selftest::normalised(run.output).find(text) != std::string::npos;
  }
  bool denied_ = false;
};

TEST_F(BlindSubject, SeesTheLeakThroughProcNetIfNetlinkIsRefused) {
  const auto run = this->run("Blind.*", {"no-netlink"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.output;
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.output;
  EXPECT_TRUE(has(run, "seen by: /proc/net; owners as far as visible")) << run.output;
  EXPECT_TRUE(has(run, "sock_diag refused (Operation not permitted")) << run.output;
}

TEST_F(BlindSubject, FailsAndSaysWhyIfNothingCanBeRead) {
  const auto run = this->run("Blind.LeavesNothing", {"no-proc", "no-netlink"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run,
                  "tidewait: Blind.LeavesNothing: could not look: sockets not visible: sock_diag "
                  "refused (Operation not permitted)"))
      << run.output;
}

TEST_F(BlindSubject, SkipsTheLookIfThePolicySaysSo) {
  const auto run = this->run("BlindIsSkipped.*", {"no-proc", "no-netlink"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 0) << run.output;
  const auto told = run.output.find("could not look: ");
  EXPECT_NE(told, std::string::npos) << run.output;
  EXPECT_EQ(run.output.find("could not look: ", told + 1), std::string::npos) << "said again\n"
                                                                              << run.output;
}

TEST_F(BlindSubject, FailsUnderAPolicyThatCannotBeReadWhateverTheCodeSaysOfBlindness) {
  const auto fails = [&](std::vector<std::string> restrictions) {
    ::setenv("TIDEWAIT_POLICY", "time_wait,bogus", 1);
    const auto run = this->run("BlindIsSkipped.*", std::move(restrictions));
    ::unsetenv("TIDEWAIT_POLICY");
    if (denied_) return std::string{"skip: "} + run.output;
    return std::to_string(run.status) + (has(run, "reading 'bogus'") ? " quoted" : run.output);
  };
  EXPECT_EQ(fails({}), "1 quoted");
  const std::string blind = fails({"no-proc", "no-netlink"});
  if (blind.rfind("skip: ", 0) == 0) GTEST_SKIP() << blind;
  EXPECT_EQ(blind, "1 quoted");
}

TEST_F(BlindSubject, SeesTheLeakWithoutProcButNotItsOwner) {
  const auto run = this->run("Blind.LeavesAListener", {"no-proc"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.output;
  EXPECT_TRUE(has(run, "owners hidden (no /proc)")) << run.output;
}

TEST_F(BlindSubject, SeesItsOwnAndSaysWhatHidepidHides) {
  const auto run = this->run("Blind.*", {"hidepid"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.output;
  EXPECT_TRUE(has(run, "of this process is still listening")) << run.output;
  EXPECT_TRUE(has(run, "tidewait: Blind.HasItsPortTakenByAnotherUser left 1 socket behind"))
      << run.output;
  EXPECT_TRUE(has(run, "a process of uid 0, not visible here, holds a listener on the port"))
      << run.output;
  EXPECT_NE(run.output.find("seen by: sock_diag; owners of other users hidden (hidepid)"),
            std::string::npos)
      << run.output;
}

TEST_F(BlindSubject, FailsIfThereIsNoDescriptorLeft) {
  const auto run = this->run("OutOfDescriptors.*", {});
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "OutOfDescriptors.CannotLook: could not look: ")) << run.output;
  EXPECT_TRUE(has(run, "Too many open files")) << run.output;
}

TEST_F(BlindSubject, WorksWithoutIpv6) {
  const auto run = this->run("Blind.*", {"no-ipv6"});
  if (denied_) GTEST_SKIP() << run.output;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.output;
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.output;
  EXPECT_FALSE(has(run, "could not look")) << run.output;
}

}  // namespace
