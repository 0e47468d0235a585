// SPDX-License-Identifier: BSL-1.0
//
// The fixture where it cannot see everything: never clean without having looked.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <tidewait/port_lease.hpp>

#include "../support/golden.hpp"
#include "../support/run_program.hpp"

namespace {

class BlindSubject : public testing::Test {
 protected:
  selftest::run_result run(const std::string& filter, std::vector<std::string> restrictions) {
    restrictions.insert(restrictions.begin(), {SELFTEST_GTEST_BLIND_SUBJECT, "--gtest_color=no",
                                               "--gtest_filter=" + filter});
    const selftest::run_result run = selftest::run_together(restrictions);
    denied_ = run.status == 42;
    return run;
  }
  static bool has(const selftest::run_result& run, const std::string& text) {
    return selftest::normalised(run.out).find(text) != std::string::npos;
  }
  bool denied_ = false;
};

TEST_F(BlindSubject, SeesTheLeakThroughProcNetIfNetlinkIsRefused) {
  const auto run = this->run("Blind.*", {"no-netlink"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.out;
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.out;
  EXPECT_TRUE(has(run, "seen by: /proc/net; owners as far as visible")) << run.out;
  EXPECT_TRUE(has(run, "sock_diag refused (Operation not permitted")) << run.out;
}

TEST_F(BlindSubject, KnowsThePortThatATestAskedForWithoutCookies) {
  const auto port = tidewait::lease_port();
  const std::string number = std::to_string(port.number());
  ::setenv("PORT", number.c_str(), 1);
  const auto run = this->run("Emulated.*", {"emulator"});
  ::unsetenv("PORT");
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1) << run.out;
  const std::string left = "tidewait: Emulated.LeavesTimeWaitOnItsNumber left 1 socket behind on ";
  EXPECT_NE(run.out.find(left + "127.0.0.1:" + number), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("an emulator such as"), std::string::npos) << run.out;
}

TEST_F(BlindSubject, FailsAndSaysWhyIfNothingCanBeRead) {
  const auto run = this->run("Blind.LeavesNothing", {"no-proc", "no-netlink"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run,
                  "tidewait: Blind.LeavesNothing: could not look: sockets not visible: sock_diag "
                  "refused (Operation not permitted)"))
      << run.out;
}

TEST_F(BlindSubject, SkipsTheLookIfThePolicySaysSo) {
  const auto run = this->run("BlindIsSkipped.*", {"no-proc", "no-netlink"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 0) << run.out;
  const auto told = run.out.find("could not look: ");
  EXPECT_NE(told, std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("could not look: ", told + 1), std::string::npos) << "said again\n"
                                                                           << run.out;
}

TEST_F(BlindSubject, FailsUnderAPolicyThatCannotBeReadWhateverTheCodeSaysOfBlindness) {
  const auto fails = [&](std::vector<std::string> restrictions) {
    ::setenv("TIDEWAIT_POLICY", "time_wait,bogus", 1);
    const auto run = this->run("BlindIsSkipped.*", std::move(restrictions));
    ::unsetenv("TIDEWAIT_POLICY");
    if (denied_) return std::string{"skip: "} + run.out;
    return std::to_string(run.status) + (has(run, "reading 'bogus'") ? " quoted" : run.out);
  };
  EXPECT_EQ(fails({}), "1 quoted");
  const std::string blind = fails({"no-proc", "no-netlink"});
  if (blind.rfind("skip: ", 0) == 0) GTEST_SKIP() << blind;
  EXPECT_EQ(blind, "1 quoted");
}

TEST_F(BlindSubject, SeesTheLeakWithoutProcButNotItsOwner) {
  const auto run = this->run("Blind.LeavesAListener", {"no-proc"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.out;
  EXPECT_TRUE(has(run, "owners hidden (no /proc)")) << run.out;
}

TEST_F(BlindSubject, SeesItsOwnAndSaysWhatHidepidHides) {
  const auto run = this->run("Blind.*", {"hidepid"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.out;
  EXPECT_TRUE(has(run, "of this process is still listening")) << run.out;
  EXPECT_TRUE(has(run, "tidewait: Blind.HasItsPortTakenByAnotherUser left 1 socket behind"))
      << run.out;
  EXPECT_TRUE(has(run, "a process of uid 0, not visible here, holds a listener on the port"))
      << run.out;
  EXPECT_NE(run.out.find("seen by: sock_diag; owners of other users hidden (hidepid)"),
            std::string::npos)
      << run.out;
}

TEST_F(BlindSubject, FailsIfThereIsNoDescriptorLeft) {
  const auto run = this->run("OutOfDescriptors.*", {});
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "OutOfDescriptors.CannotLook: could not look: ")) << run.out;
  EXPECT_TRUE(has(run, "Too many open files")) << run.out;
}

TEST_F(BlindSubject, WorksWithoutIpv6) {
  const auto run = this->run("Blind.*", {"no-ipv6"});
  if (denied_) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(has(run, "[  OK ] Blind.LeavesNothing")) << run.out;
  EXPECT_TRUE(has(run, "tidewait: Blind.LeavesAListener left 1 socket behind")) << run.out;
  EXPECT_FALSE(has(run, "could not look")) << run.out;
}

}  // namespace
