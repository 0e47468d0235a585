// SPDX-License-Identifier: BSL-1.0
//
// When and where `tidewait run` explains binds that failed.
#include "failed_bind.hpp"

#include <signal.h>

#include <string>

#include <gmock/gmock.h>

namespace {

using testing::HasSubstr;

TEST(WitnessRun, AFailedBindIsExplainedWhereTheCommandFails) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  const outcome got =
      run(wrapped({"--witness"}, python(bind_and_end(taken.number(), "3", "sys.exit(7)"))));
  EXPECT_EQ(got.status, 7);
  EXPECT_THAT(got.err, HasSubstr("tidewait: 3 binds failed while this ran\n  127.0.0.1:" +
                                 taken.number() + "  EADDRINUSE  pid "));
  EXPECT_THAT(got.err, HasSubstr(", 3 times  held by pid " + std::to_string(::getpid()) + ' '));
  EXPECT_THAT(got.err, HasSubstr("  next: "));
}

TEST(WitnessRun, AFailedBindIsExplainedWhereASignalEndsTheCommand) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  const outcome got = run(
      wrapped({"--witness"},
              python(bind_and_end(taken.number(), "1", "os.kill(os.getpid(), signal.SIGTERM)"))));
  EXPECT_EQ(got.status, 128 + SIGTERM);
  EXPECT_THAT(got.err, HasSubstr("tidewait: 1 bind failed while this ran\n"));
}

/// As timeout(1) does, and CTest with TIMEOUT_SIGNAL_NAME.
TEST(WitnessRun, AFailedBindIsExplainedWhereTheCommandHangsAndIsEnded) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  running launched{wrapped({"--witness"}, python(bind_and_end(taken.number(), "1",
                                                              "import time\n"
                                                              "print('hangs', flush=True)\n"
                                                              "time.sleep(1000)\n")))};
  ASSERT_TRUE(launched.says("hangs"));
  ::kill(launched.pid(), SIGTERM);
  const outcome got = launched.finish();
  EXPECT_EQ(got.status, 128 + SIGTERM);
  EXPECT_THAT(got.err, HasSubstr("tidewait: 1 bind failed while this ran\n"));
}

selftest::run_options together() {
  selftest::run_options options;
  options.together = true;
  return options;
}

/// As CTest does at the TIMEOUT of a test.
TEST(WitnessRun, AFailedBindIsExplainedUnderCTestBeforeTheLauncherIsKilled) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  running launched{wrapped({"--witness", "--ctest-measurement"},
                           python(bind_and_end(taken.number(), "3", "signal.pause()"))),
                   together()};
  EXPECT_TRUE(launched.says("tidewait: 3 binds failed so far\n  127.0.0.1:" + taken.number() +
                            "  EADDRINUSE  pid "));
  EXPECT_TRUE(launched.says("  next: "));
  ::kill(launched.pid(), SIGKILL);
}

TEST(WitnessRun, AFailedBindThatWasExplainedUnderCTestIsNotExplainedAgain) {
  SKIP_WITHOUT_WITNESS();
  const taken_port taken;
  running launched{wrapped({"--witness", "--ctest-measurement"},
                           python(bind_and_end(taken.number(), "1",
                                               "signal.signal(signal.SIGTERM, lambda *_: "
                                               "sys.exit(7))\nsignal.pause()"))),
                   together()};
  ASSERT_TRUE(launched.says("tidewait: 1 bind failed so far\n"));
  ::kill(launched.pid(), SIGTERM);
  const outcome got = launched.finish();
  EXPECT_EQ(got.status, 7);
  EXPECT_EQ(count_of("EADDRINUSE", got.out), 1) << got.out;
}

}  // namespace
