// SPDX-License-Identifier: BSL-1.0
//
// What the witness sees of servers that a library binds, and of programs under other tools.
#include <cstdlib>
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "../support/sockets.hpp"
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
  const std::regex place{R"((bound at|called from) witness_libraries_subject\.cpp:\d+\s)"};
  EXPECT_TRUE(std::regex_search(run.out, place)) << run.out;
}

INSTANTIATE_TEST_SUITE_P(Each, WitnessLibrary,
                         testing::Values("Plugin", "ZeroMq", "Uv", "Event", "Asio"),
                         [](const auto& each) { return std::string{each.param}; });

/// Its own sockets are closed when the look comes: only the moment of the bind shows who else
/// serves.
TEST_F(WitnessProgram, TellsOfPortsThatWereSharedWithAnotherProgram) {
  const std::string said = in_private_network([](auto say) {
    std::error_code error;
    const auto tcp = sockets::listening(20025, error, tidewait::reuse::port);
    const auto udp = sockets::bound(20026, error, tidewait::reuse::address, sockets::loopback,
                                    tidewait::protocol::udp);
    for (const char* const policy :
         {"", "warn:port=20025+listen, warn:port=20026+unconn", "port=20025-20026"}) {
      const auto run =
          run_together({SELFTEST_WITNESS_GTEST, "--gtest_filter=*.MaySharePorts"},
                       {"SUBJECT_PORT=20000", std::string{"TIDEWAIT_POLICY="} + policy});
      say(error.message() + '\n' + run.out + "ends with " + std::to_string(run.status) + '\n');
    }
  });
  SKIP_IF_DENIED(said);
  const auto count = [&](const std::string& what) {
    std::size_t found = 0;
    for (auto at = said.find(what); at != std::string::npos; at = said.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count(" shared 127.0.0.1:20025 with another program"), 2U) << said;
  EXPECT_EQ(count(" shared UDP 127.0.0.1:20026 with another program"), 2U) << said;
  EXPECT_EQ(count("tidewait: warning: Served.MaySharePorts: shared "), 2U) << said;
  EXPECT_EQ(count("bound at witness_subject.cpp:"), 4U) << said;
  EXPECT_EQ(count("ends with 1\n"), 1U) << said;
  EXPECT_EQ(count("ends with 0\n"), 2U) << said;
}

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
  if (has(run, "Valgrind: I can't recover"))
    GTEST_SKIP() << "valgrind cannot read this compiler's output";
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
