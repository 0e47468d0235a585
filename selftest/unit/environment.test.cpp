// SPDX-License-Identifier: BSL-1.0
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy.hpp>

#include "../support/forked.hpp"

namespace {

TEST(Environment, IsReadByAProgramWithTheRightsOfItsCaller) {
  EXPECT_EQ(tidewait::detail::environment("TIDEWAIT_NO_SUCH_VARIABLE"), nullptr);
  EXPECT_STREQ(tidewait::detail::environment("PATH"), std::getenv("PATH"));
}

/// What a setuid copy of this program does as a child of the next test.
TEST(SetuidProgram, DISABLED_Appends) {
  ASSERT_NE(::getuid(), ::geteuid());
  EXPECT_FALSE(tidewait::append_journal({tidewait::journal_entry{}}));
  EXPECT_TRUE(tidewait::read_journal().empty());
  EXPECT_NO_THROW(tidewait::policy_from_environment());
}

TEST(SetuidProgram, DoesNotDoWithItsRightsWhatTheEnvironmentSays) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a program its rights";
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "LeakSanitizer cannot look at a setuid program";
#endif
  namespace fs = std::filesystem;
  std::string directory = testing::TempDir() + "tidewait-setuid-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string program = directory + "/program";
  const std::string journal = directory + "/journal";
  // The rights are those of one unprivileged user for another: nobody gets root's by this file.
  constexpr uid_t somebody = 65533;
  fs::copy_file("/proc/self/exe", program);
  for (const std::string& each : {directory, program})
    ASSERT_EQ(::chown(each.c_str(), somebody, somebody), 0);
  ::chmod(directory.c_str(), 0755);
  ::chmod(program.c_str(), 04755);
  forked child{[&](auto) {
    constexpr uid_t nobody = 65534;
    ::setenv(tidewait::journal_variable, journal.c_str(), 1);
    ::setenv(tidewait::policy_variable, "no such rule", 1);
    if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(2);
    ::execl(program.c_str(), program.c_str(), "--gtest_filter=*.DISABLED_Appends",
            "--gtest_also_run_disabled_tests", nullptr);
    ::_exit(127);
  }};
  EXPECT_EQ(child.wait(), 0);
  EXPECT_FALSE(fs::exists(journal));
  fs::remove_all(directory);
}

}  // namespace
