// SPDX-License-Identifier: BSL-1.0
//
// `tidewait known`, and what a run of several programs says of its rules at the end.

#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>

#include "run_launcher.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Tests of the subject: one leaves a listener on a leased port, one leaves nothing.
const std::string leaves = SELFTEST_GTEST_SUBJECT " --gtest_filter=Subject.LeavesAListener";
const std::string clean = SELFTEST_GTEST_SUBJECT " --gtest_filter=Subject.LeavesNothing";

class Known : public testing::Test {
 protected:
  std::string file() const { return folder_ / "known.txt"; }
  void make(const std::string& text) const { std::ofstream{file()} << text; }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream{file()}.rdbuf();
    return all.str();
  }
  std::string policy() const { return "TIDEWAIT_POLICY=@" + file(); }
  outcome known(const words& options, const std::string& script,
                const words& environment = {}) const {
    words command{program_path, "known"};
    command.insert(command.end(), options.begin(), options.end());
    for (const std::string& each :
         {std::string{"--"}, std::string{"sh"}, std::string{"-c"}, script})
      command.push_back(each);
    return run(command, environment);
  }
  outcome record(const std::string& script, const words& more = {}) const {
    words options{"record", "--file", file()};
    options.insert(options.end(), more.begin(), more.end());
    return known(options, script);
  }

  directory folder_;
};

TEST_F(Known, RecordsAsWarningsAndThenOnlyNewFindingsFail) {
  const outcome recorded = record(leaves);
  EXPECT_EQ(recorded.status, 0) << recorded.out << recorded.err;
  EXPECT_THAT(recorded.err, ContainsRegex("tidewait: recorded 1 new rule in .*known.txt\n"));
  EXPECT_THAT(text(), HasSubstr("\nlisten+test=Subject.LeavesAListener\n"));
  const outcome again = run_shell({}, leaves, {policy()});
  EXPECT_EQ(again.status, 0) << again.out << again.err;
  const outcome fresh =
      run_shell({}, SELFTEST_GTEST_SUBJECT " --gtest_filter=*.LeavesABoundSocket", {policy()});
  EXPECT_NE(fresh.status, 0);
}

TEST_F(Known, RecordsNothingTwiceAndKeepsWhatIsThere) {
  make("# ours\nport=1 # kept\n");
  record(leaves);
  const std::string first = text();
  EXPECT_THAT(first, AllOf(HasSubstr("# ours\n"), HasSubstr("port=1 # kept\n")));
  EXPECT_THAT(record(leaves).err, HasSubstr("nothing new to record"));
  EXPECT_EQ(text(), first);
}

TEST_F(Known, RecordKeepsTheCommandsOwnFailures) {
  EXPECT_EQ(record(leaves + "; exit 5").status, 5);
}

TEST_F(Known, RecordsAProcessThatIsLeftRunning) {
  const std::string seconds = unique_seconds();
  const std::string script = "sleep " + seconds + " >/dev/null 2>&1 & echo $!";
  EXPECT_EQ(record(script).status, 0);
  EXPECT_THAT(text(), HasSubstr("\nowner=sleep\n"));
  const outcome again = run_shell({}, script, {policy()});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(end_process(again.out)) << again.out;
}

/// The rule of the process lets its sockets pass, so a rule for these would never be used.
TEST_F(Known, RecordsAServerThatIsLeftRunningByOneRule) {
  const words server = python(R"(
import os, socket, time
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
pid = os.fork()
if pid == 0:
  null = os.open('/dev/null', os.O_RDWR)
  for out in 1, 2: os.dup2(null, out)
  time.sleep(1000)
print(pid)
)");
  words command{program_path, "known", "record", "--file", file(), "--"};
  command.insert(command.end(), server.begin(), server.end());
  const outcome recorded = run(command);
  EXPECT_THAT(recorded.err, HasSubstr("recorded 1 new rule")) << text();
  const outcome again = run(wrapped({"--strict"}, server), {policy()});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(end_process(again.out)) << again.out;
}

TEST_F(Known, MakesOneRuleOfASuiteOnlyIfAsked) {
  const std::string both =
      SELFTEST_GTEST_SUBJECT " --gtest_filter='Subject.LeavesAListener:Subject.ThrowsAndLeaves*'";
  record(both, {"--patterns"});
  EXPECT_THAT(text(),
              AllOf(HasSubstr("\nlisten+test=Subject.*\n"), Not(HasSubstr("LeavesAListener"))));
}

TEST_F(Known, ARuleOfATestThatRanAndLeftNothingCanGo) {
  make("# a\nlisten+test=Subject.LeavesNothing\nlisten+test=Subject.Gone\n");
  const outcome run = run_shell({}, clean, {policy()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, AllOf(ContainsRegex("fixed: remove line 2 of .*known.txt: listen\\+test="),
                             Not(HasSubstr("line 3"))));
  const outcome strict = run_shell({"--strict"}, clean, {policy()});
  EXPECT_EQ(strict.status, 97);
  EXPECT_THAT(strict.err, HasSubstr("--strict: remove 1 rule"));
}

TEST_F(Known, ARuleIsJudgedOnceAtTheEndOfAllPrograms) {
  make("listen+test=Subject.*\n");
  EXPECT_THAT(run_shell({}, clean + "; " + leaves, {policy()}).err, Not(HasSubstr("fixed")));
  EXPECT_THAT(run_shell({}, leaves + "; " + clean, {policy()}).err, Not(HasSubstr("fixed")));
  EXPECT_THAT(run_shell({}, program_path + " run -- " + clean + "; " + leaves, {policy()}).err,
              Not(HasSubstr("fixed")))
      << "a run inside another";
  EXPECT_THAT(run_shell({}, clean + "; " + clean, {policy()}).err, HasSubstr("fixed"));
}

TEST_F(Known, ARuleWithoutATestIsJudgedOnlyIfAllTestsRan) {
  make("listen+port=1\n");
  const outcome part = run_shell({"--strict"}, clean, {policy()});
  EXPECT_EQ(part.status, 0) << part.err;
  EXPECT_THAT(part.err, AllOf(HasSubstr("cannot be judged"), Not(HasSubstr("fixed"))));
  EXPECT_THAT(run_shell({}, "true", {policy()}).err, HasSubstr("fixed: remove line 1"));
}

TEST_F(Known, AProgramThatCrashedLeavesRulesUnjudged) {
  make("listen+port=1\n");
  EXPECT_THAT(run_shell({},
                        SELFTEST_GTEST_SUBJECT
                        " --gtest_filter=Subject.Throws* --gtest_catch_exceptions=0; true",
                        {policy()})
                  .err,
              Not(HasSubstr("fixed")));
}

TEST_F(Known, StrictDoesNotPassWhereRulesCannotBeJudged) {
  make("listen+test=Subject.Gone\n");
  const outcome lost = run_shell({"--strict"}, clean + "; rm $TIDEWAIT_TALLY", {policy()});
  EXPECT_EQ(lost.status, 3) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("the rules could not be judged"));
  const outcome gone = run_shell({"--strict"}, clean + "; rm " + file(), {policy()});
  EXPECT_EQ(gone.status, 3) << gone.err;
  make("listen+test=Subject.Gone\n");
  EXPECT_EQ(run_shell({}, clean + "; rm $TIDEWAIT_TALLY", {policy()}).status, 0);
}

TEST_F(Known, PruneRemovesWhatCanGoAndNothingElse) {
  make(
      "# head\n"
      "listen+test=Subject.LeavesAListener # in use\n"
      "test=Subject.LeavesNothing+listen # other order\n"
      "listen+test=Subject.Gone\n");
  const outcome pruned = known({"prune"}, leaves + "; " + clean, {policy()});
  EXPECT_THAT(pruned.err, HasSubstr("tidewait: removed 1 rule from "));
  EXPECT_EQ(text(),
            "# head\n"
            "listen+test=Subject.LeavesAListener # in use\n"
            "listen+test=Subject.Gone\n");
  EXPECT_THAT(known({"prune"}, leaves + "; " + clean, {policy()}).err,
              HasSubstr("tidewait: no rule to remove\n"));
}

TEST_F(Known, PruneSaysWhereNoRulesWereRead) {
  make("listen+test=Subject.Gone\n");
  const std::string set = "set TIDEWAIT_POLICY=@FILE";
  EXPECT_THAT(
      known({"prune"}, clean).err,
      AllOf(HasSubstr("nothing removed: the run did not read a file of rules"), HasSubstr(set)));
  EXPECT_THAT(known({"prune", "--file", file() + ".other"}, clean, {policy()}).err,
              AllOf(HasSubstr("nothing removed: the run did not read "), HasSubstr(set)));
}

TEST_F(Known, SummarisesWhatSeveralProgramsLeft) {
  const outcome left = run_shell(
      {}, leaves + "; " + leaves + "; " + SELFTEST_GTEST_SUBJECT " --gtest_filter=*ABoundSocket");
  EXPECT_THAT(left.err, AllOf(HasSubstr("tidewait: looked after 3 tests: 2 left something"),
                              HasSubstr("left LISTEN"), HasSubstr("left BOUND")));
  EXPECT_THAT(run_shell({}, leaves).err, Not(HasSubstr("looked after")))
      << "of one test the report has said all";
}

TEST_F(Known, WarnAllCountsWhatWasLeftAsWarnings) {
  const std::string seconds = unique_seconds();
  const outcome left = run_shell({"--tolerate", "warn:all", "--ctest-measurement"},
                                 "sleep " + seconds + " >/dev/null 2>&1 & exit 0");
  EXPECT_EQ(left.status, 0) << left.err;
  EXPECT_THAT(left.err, HasSubstr("tidewait: warning: "));
  EXPECT_THAT(left.out, AllOf(HasSubstr("name=\"tidewait_leaks\">1<"),
                              HasSubstr("name=\"tidewait_warnings\">1<")));
  EXPECT_FALSE(is_alive(seconds));
}

TEST_F(Known, RulesThatGoWhileTheCommandRunsStayInForce) {
  const std::string seconds = unique_seconds();
  make("port=1\n");
  const outcome ended =
      run_shell({}, "rm " + file() + "; sleep " + seconds + " >/dev/null 2>&1 &", {policy()});
  EXPECT_EQ(ended.status, 97) << ended.out << ended.err;
  EXPECT_FALSE(is_alive(seconds));
  make("owner=sleep\n");
  const outcome kept = run_shell(
      {}, "rm " + file() + "; sleep " + seconds + " >/dev/null 2>&1 & echo $!", {policy()});
  EXPECT_EQ(kept.status, 0) << kept.out << kept.err;
  EXPECT_TRUE(is_alive(seconds));
  EXPECT_TRUE(end_process(kept.out)) << kept.out;
}

TEST_F(Known, LeavesNoFileBehind) {
  const std::string listing = "ls -A " + testing::TempDir() + " /tmp | grep tidewait-tally || true";
  const std::string before = run(shell(listing)).out;
  const outcome inside = run_shell({}, "test -e $TIDEWAIT_TALLY && echo $TIDEWAIT_TALLY");
  EXPECT_THAT(inside.out, Not(IsEmpty()));
  const std::string tally = inside.out.substr(0, inside.out.find('\n'));
  EXPECT_NE(::access(tally.c_str(), F_OK), 0) << tally;
  EXPECT_NE(::access((tally + ".journal").c_str(), F_OK), 0);
}

TEST_F(Known, SaysThatItDoesNotWriteThroughALink) {
  make("");
  const std::string link = folder_ / "link.txt";
  ASSERT_EQ(::symlink("known.txt", link.c_str()), 0);
  const outcome refused = run({program_path, "known", "record", "--file", link, "--", "true"});
  EXPECT_EQ(refused.status, 3);
  EXPECT_THAT(refused.err, HasSubstr(link + ": it is a symbolic link: name the file\n"));
}

TEST_F(Known, RefusesWhatItCannotRead) {
  make("lisen\n");
  const outcome flawed = record("true");
  EXPECT_EQ(flawed.status, 2);
  EXPECT_THAT(flawed.err, HasSubstr("known.txt:1: reading 'lisen'"));
  EXPECT_EQ(run({program_path, "known", "record"}).status, 2);
  const std::string seconds = unique_seconds();
  for (const std::string& nowhere : {std::string{"none/known.txt"}, std::string{"/dev/full"}}) {
    const outcome refused =
        run({program_path, "known", "record", "--file", nowhere, "--", "sleep", seconds});
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.err, HasSubstr(nowhere));
  }
  EXPECT_EQ(run({program_path, "known", "record", "true"}).status, 2);
  EXPECT_EQ(run({program_path, "known", "prune", "--", "true"}, {"TIDEWAIT_TALLY=/x"}).status, 2);
}

}  // namespace
