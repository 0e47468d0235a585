// SPDX-License-Identifier: BSL-1.0
//
// Files of known findings, as a program meets them that links tidewait::gtest_auto.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/port_lease.hpp>

#include "../support/run_program.hpp"

namespace {

using selftest::run_result;
using selftest::words;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class KnownFindings : public testing::Test {
 protected:
  KnownFindings() {
    std::string name = testing::TempDir() + "tidewait-known-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) directory_ = name;
  }
  ~KnownFindings() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string make(const std::string& text) const {
    std::ofstream{file()} << text;
    return file();
  }
  std::string file() const { return directory_ + "/known.txt"; }
  /// The rules in the file, without comments.
  std::string rules() const {
    std::ifstream in{file()};
    std::string text;
    for (std::string line; std::getline(in, line);) {
      if (!line.empty() && line.front() != '#') text += line + '\n';
    }
    return text;
  }
  static run_result run(const words& environment, const words& flags = {}) {
    words command{SELFTEST_GTEST_AUTO_SUBJECT, "--gtest_color=no"};
    command.insert(command.end(), flags.begin(), flags.end());
    return selftest::run_together(command, environment);
  }
  std::string port() const { return std::to_string(lease_.number()); }

  std::string directory_;
  tidewait::port_lease lease_ = tidewait::lease_port();
};

TEST_F(KnownFindings, PassAndAreCountedWhileANewOneFails) {
  make("listen+port=" + port() + "+test=Auto.First  # the old server\n");
  const run_result known = run({"TIDEWAIT_POLICY=@" + file(), "LEAK_IN_FIRST=" + port()});
  EXPECT_EQ(known.status, 0) << known.out;
  EXPECT_THAT(known.out, AllOf(HasSubstr("1 let pass by a rule"),
                               HasSubstr("tidewait: 1 rule let 1 finding pass\n")));
  const run_result fresh = run({"TIDEWAIT_POLICY=@" + file(), "LEAK_IN_THIRD=" + port()});
  EXPECT_EQ(fresh.status, 1) << fresh.out;
  EXPECT_THAT(fresh.out, HasSubstr("Auto.Third left 1 socket behind"));
}

TEST_F(KnownFindings, ThatCannotBeReadFailEveryTestAndSayWhere) {
  make("listen\nlisen\n");
  const run_result flawed = run({"TIDEWAIT_POLICY=@" + file()});
  EXPECT_EQ(flawed.status, 1) << flawed.out;
  for (const char* test : {"Auto.First", "Auto.Second", "Auto.Third"}) {
    EXPECT_THAT(flawed.out, HasSubstr("tidewait: " + std::string{test} +
                                      ": TIDEWAIT_POLICY: " + file() + ":2: reading 'lisen'"));
  }
  const run_result missing = run({"TIDEWAIT_POLICY=blind=skip,warn:all,@none.txt"});
  EXPECT_EQ(missing.status, 1) << missing.out;
  EXPECT_THAT(missing.out, ContainsRegex("reading the rules in 'none.txt': .*No such file"));
}

TEST_F(KnownFindings, AreRecordedOncePerTestAndPassInTheNextRun) {
  const words leaks{"TIDEWAIT_RECORD=" + file(), "LEAK_IN_FIRST=" + port(), "LEAK_ANYWHERE=1"};
  EXPECT_EQ(run(leaks).status, 1) << "to record lets nothing pass";
  const std::string recorded =
      "listen+port=" + port() + "+test=Auto.First\nlisten+test=Auto.First\n";
  EXPECT_EQ(rules(), recorded) << "a number that the kernel chose is not in it";
  run(leaks, {"--gtest_repeat=2"});
  EXPECT_EQ(rules(), recorded);
  const run_result next =
      run({"TIDEWAIT_POLICY=@" + file(), "LEAK_IN_FIRST=" + port(), "LEAK_ANYWHERE=1"});
  EXPECT_EQ(next.status, 0) << next.out;
}

TEST_F(KnownFindings, OfSuitesAndPrograms) {
  const words leaks{"LEAK_IN_SUITE=" + port(),
                    "LEAK_IN_ENVIRONMENT=" + std::to_string(lease_.number() + 1)};
  words recording = leaks;
  recording.push_back("TIDEWAIT_RECORD=" + file());
  EXPECT_EQ(run(recording).status, 1);
  EXPECT_THAT(rules(), AllOf(HasSubstr("+test=\"suite Auto\"\n"),
                             HasSubstr("+test=\"the test program\"\n")));
  words next = leaks;
  next.push_back("TIDEWAIT_POLICY=@" + file());
  EXPECT_EQ(run(next).status, 0);
}

TEST_F(KnownFindings, AreNotRecordedAgainstARuleThatSaysFail) {
  run({"TIDEWAIT_RECORD=" + file(), "TIDEWAIT_POLICY=fail:port=" + port(),
       "LEAK_IN_FIRST=" + port()});
  EXPECT_EQ(rules(), "");
}

TEST_F(KnownFindings, ThatCannotBeRecordedFailTheTestAlsoAsWarnings) {
  const run_result lost = run({"TIDEWAIT_RECORD=" + directory_ + "/none/known.txt",
                               "TIDEWAIT_POLICY=warn:all", "LEAK_IN_FIRST=" + port()});
  EXPECT_EQ(lost.status, 1) << lost.out;
  EXPECT_THAT(lost.out, ContainsRegex("Auto.First: recording findings in .*: No such file"));
}

TEST_F(KnownFindings, AreRecordedByManyProcessesAtOnce) {
  std::vector<std::future<run_result>> shards;
  for (const char* const shard : {"0", "1", "2", "0", "1", "2"}) {
    shards.push_back(std::async(std::launch::async, [this, shard] {
      return run({"TIDEWAIT_RECORD=" + file(), "GTEST_TOTAL_SHARDS=3",
                  std::string{"GTEST_SHARD_INDEX="} + shard, "LEAK_ANYWHERE=1",
                  "LEAK_IN_THIRD=" + port()});
    }));
  }
  for (auto& each : shards) each.get();
  EXPECT_EQ(rules(), "listen+port=" + port() + "+test=Auto.Third\nlisten+test=Auto.First\n");
}

TEST_F(KnownFindings, WarnAllPrintsAndPasses) {
  const run_result warned = run({"TIDEWAIT_POLICY=warn:all", "LEAK_IN_FIRST=" + port(),
                                 "LEAK_IN_ENVIRONMENT=" + std::to_string(lease_.number() + 1)});
  EXPECT_EQ(warned.status, 0) << warned.out;
  EXPECT_THAT(warned.out, AllOf(HasSubstr("tidewait: warning: Auto.First left 1 socket behind"),
                                HasSubstr("warning: the test program left 1 socket behind"),
                                HasSubstr("with a warning")));
}

TEST_F(KnownFindings, ThatAreFixedAreNamedWhereTheirTestRanToItsEnd) {
  const std::string fixed = "fixed: remove line 2 of ";
  make("# known\nlisten+test=Auto.First\nlisten+test=Auto.Gone\nlisten+port=1\n");
  const words known{"TIDEWAIT_POLICY=@" + file()};
  const run_result whole = run(known);
  EXPECT_EQ(whole.status, 0);
  EXPECT_THAT(whole.out,
              AllOf(HasSubstr(fixed), Not(HasSubstr("line 3")), Not(HasSubstr("line 4"))));
  EXPECT_THAT(run(known, {"--gtest_filter=*Second"}).out, Not(HasSubstr("fixed")))
      << "not all tests ran";
  EXPECT_THAT(run({"TIDEWAIT_POLICY=@" + file(), "SKIP_FIRST=1"}).out, Not(HasSubstr("fixed")))
      << "it was skipped";
  EXPECT_THAT(run({"TIDEWAIT_POLICY=@" + file(), "LEAK_ANYWHERE=1"}).out, Not(HasSubstr("fixed")))
      << "it is in use";
}

TEST_F(KnownFindings, HintIsALineThatCanBePasted) {
  EXPECT_THAT(
      run({"LEAK_IN_FIRST=" + port()}).out,
      HasSubstr("tolerate: listen+port=" + port() + "+test=Auto.First, in TIDEWAIT_POLICY"));
  EXPECT_THAT(run({"LEAK_ANYWHERE=1"}).out,
              HasSubstr("tolerate: listen+test=Auto.First, in TIDEWAIT_POLICY"));
}

TEST_F(KnownFindings, AProgramThatPassesAndEndsWith1SaysWhyInItsLastLine) {
  const run_result left = run({"LEAK_IN_ENVIRONMENT=" + port()});
  EXPECT_EQ(left.status, 1);
  EXPECT_THAT(left.out, HasSubstr("[  PASSED  ] 3 tests."));
  const std::string last = left.out.substr(left.out.rfind('\n', left.out.size() - 2) + 1);
  EXPECT_THAT(last, HasSubstr("tidewait: exit code 1, although no test failed"));
}

}  // namespace
