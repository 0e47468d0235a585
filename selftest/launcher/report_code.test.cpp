// SPDX-License-Identifier: BSL-1.0
//
// The report names the code that bound a port, by the stacks in the journal.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class ReportCode : public testing::Test {
 protected:
  void SetUp() override {
    if (!installed("addr2line")) GTEST_SKIP() << "addr2line (binutils) is not installed";
  }
  std::string journal() const { return folder_ / "journal.jsonl"; }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream{journal()}.rdbuf();
    return all.str();
  }
  void run_test(const std::string& program) const {
    const outcome ran =
        run({program, "--gtest_filter=Subject.LeavesAListener"}, {"TIDEWAIT_JOURNAL=" + journal()});
    ASSERT_EQ(ran.status, 1) << ran.out << ran.err;
  }
  std::string report() const {
    const outcome result = run({program_path, "report", journal()});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }

  directory folder_;
};

TEST_F(ReportCode, NamesTheLineWhereWhatWasLeftWasBound) {
  run_test(SELFTEST_GTEST_SUBJECT);
  EXPECT_THAT(text(), ContainsRegex("\"stack\":\"/[^\"]+[+]0x[0-9a-f]+ < [+]0x"));
  EXPECT_THAT(report(),
              ContainsRegex("Subject.LeavesAListener +LISTEN .* [a-z_]+[.][ch]pp:[0-9]+"));
}

TEST_F(ReportCode, WithoutTheToolTheReaderLearnsWhatToInstall) {
  run_test(SELFTEST_GTEST_SUBJECT);
  const outcome result = run({program_path, "report", journal()}, {"PATH=/nonexistent"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("install binutils"), HasSubstr("+0x")));
}

/// A program of the user's own that has run, and what has become of it since.
class ReportCodeOf : public ReportCode {
 protected:
  void SetUp() override {
    ReportCode::SetUp();
    if (IsSkipped()) return;
    std::filesystem::copy_file(SELFTEST_GTEST_SUBJECT, program_);
    run_test(program_);
  }
  std::string program_ = folder_ / "net_tests";
};

TEST_F(ReportCodeOf, AProgramThatWasBuiltAnewIsNotNamed) {
  std::filesystem::last_write_time(
      program_, std::filesystem::last_write_time(program_) + std::chrono::hours{1});
  EXPECT_THAT(report(), ContainsRegex("LISTEN .* net_tests[+]0x[0-9a-f]+"));
}

TEST_F(ReportCodeOf, AProgramThatIsGoneIsNotNamed) {
  std::filesystem::remove(program_);
  EXPECT_THAT(report(), ContainsRegex("LISTEN .* net_tests[+]0x[0-9a-f]+"));
}

TEST_F(ReportCodeOf, AFileThatOthersMayWriteIsNotShownToATool) {
  ASSERT_EQ(::chmod(program_.c_str(), 0777), 0);
  EXPECT_THAT(report(), ContainsRegex("LISTEN .* net_tests[+]0x[0-9a-f]+"));
}

TEST_F(ReportCodeOf, APipeKeepsNobodyWaiting) {
  std::filesystem::remove(program_);
  ASSERT_EQ(::mkfifo(program_.c_str(), 0600), 0);
  EXPECT_THAT(report(), ContainsRegex("LISTEN .* net_tests[+]0x[0-9a-f]+"));
}

TEST_F(ReportCode, WithoutStacksNothingIsAsked) {
  const outcome ran = run({SELFTEST_GTEST_SUBJECT, "--gtest_filter=Subject.LeavesAListener"},
                          {"TIDEWAIT_JOURNAL=" + journal(), "TIDEWAIT_STACK=off"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(text(), Not(HasSubstr("\"stack\"")));
  EXPECT_THAT(report(), HasSubstr("Subject.LeavesAListener"));
}

}  // namespace
