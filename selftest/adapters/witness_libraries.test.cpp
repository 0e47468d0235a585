// SPDX-License-Identifier: BSL-1.0
//
// What the witness sees of servers that a library binds, and of programs under other tools.
#include <cstdlib>
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "../support/witness_program.hpp"

namespace {

using selftest::run_together;

class WitnessLibrary : public WitnessProgram, public testing::WithParamInterface<const char*> {};

/// The line of the test that had the library bind, wherever in it the call is.
TEST_P(WitnessLibrary, IsSeenToBind) {
  const auto run = this->run(SELFTEST_WITNESS_LIBRARIES_SUBJECT,
                             {std::string{"--gtest_filter=Library."} + GetParam()});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  if (has(run, "[  SKIPPED ] ")) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(
      has(run, std::string{"Library."} + GetParam() + " left 1 socket behind on 127.0.0.1:20000"))
      << run.out;
  const std::regex place{R"((bound at|called from) witness_libraries_subject\.cpp:\d+ )"};
  EXPECT_TRUE(std::regex_search(run.out, place)) << run.out;
}

INSTANTIATE_TEST_SUITE_P(Each, WitnessLibrary,
                         testing::Values("Plugin", "ZeroMq", "Uv", "Event", "Asio"),
                         [](const auto& each) { return std::string{each.param}; });

#ifndef __SANITIZE_ADDRESS__  // refuses RTLD_DEEPBIND
/// Its calls go past the program: the listener is found all the same, its line is not known.
TEST_F(WitnessProgram, FindsTheListenerOfADeepBoundPlugin) {
  const auto run =
      this->run(SELFTEST_WITNESS_LIBRARIES_SUBJECT, {"--gtest_filter=Library.DeepBoundPlugin"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "Library.DeepBoundPlugin left 1 socket behind on 127.0.0.1:20000"))
      << run.out;
  EXPECT_FALSE(has(run, "bound at")) << run.out;
}

TEST_F(WitnessProgram, WorksUnderValgrind) {
  if (run_together({"valgrind", "--version"}).status != 0) GTEST_SKIP() << "no valgrind";
  const auto run =
      this->run("/usr/bin/env", {"valgrind", "-q", "--error-exitcode=9", SELFTEST_WITNESS_GTEST,
                                 "--gtest_filter=Served.ClosesFirst"});
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  EXPECT_EQ(run.status, 1) << run.out;
  EXPECT_TRUE(has(run, "bound at witness_subject.cpp:")) << run.out;
}
#endif

TEST_F(WitnessProgram, ShowsTheWholeStackIfAskedTo) {
  ::setenv("TIDEWAIT_STACK", "full", 1);
  const auto run = this->run(SELFTEST_WITNESS_GTEST, {"--gtest_filter=Served.LeavesAListener"});
  ::unsetenv("TIDEWAIT_STACK");
  if (!skipped_.empty()) GTEST_SKIP() << skipped_;
  const std::regex stack{
      R"(bound at witness_subject\.cpp:\d+ \(server::server\)\n)"
      R"( +called from witness_subject\.cpp:\d+ \(Served_LeavesAListener_Test::TestBody\)\n)"
      R"(( +called from .*\n)* +called from witness_subject\.cpp:\d+ \(main\)\n)"};
  EXPECT_TRUE(std::regex_search(run.out, stack)) << run.out;
}

}  // namespace
