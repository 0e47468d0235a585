// SPDX-License-Identifier: BSL-1.0
#include <pty.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include <gmock/gmock.h>

#include <tidewait/version.hpp>

#include "run_command.hpp"

namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Command, PrintsItsVersion) {
  const run_result result = tidewait_command({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "tidewait " + std::to_string(TIDEWAIT_VERSION_MAJOR) + '.' +
                            std::to_string(TIDEWAIT_VERSION_MINOR) + '.' +
                            std::to_string(TIDEWAIT_VERSION_PATCH) + '\n');
}

TEST(Command, ExplainsItselfOnStandardOutput) {
  const run_result result = tidewait_command({"--help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("Usage: tidewait SUBCOMMAND"), HasSubstr("  why "),
                                HasSubstr("  list ")));
  EXPECT_EQ(result.err, "");
}

TEST(Command, HasExamplesInTheHelpOfEachSubcommand) {
  const std::string help = tidewait_command({"--help"}).out;
  const std::regex row{"\n  ([a-z]+) "};
  int subcommands = 0;
  for (std::sregex_iterator each{help.begin(), help.end(), row}, end; each != end; ++each) {
    const std::string name = (*each)[1];
    const run_result result = tidewait_command({name, "--help"});
    EXPECT_EQ(result.status, 0) << name;
    EXPECT_THAT(result.out, AllOf(HasSubstr("Usage: tidewait " + name + ' '),
                                  HasSubstr("\nExamples:\n  tidewait " + name)));
    ++subcommands;
  }
  EXPECT_GE(subcommands, 2);
}

TEST(Command, SaysWhatToWriteInsteadOfAnUnknownSubcommand) {
  const run_result result = tidewait_command({"lst"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err,
              ContainsRegex("^tidewait: there is no 'lst'; write one of: .*why, .*list.*\n"
                            "See tidewait --help\n$"));
}

TEST(Command, WantsASubcommand) {
  const run_result result = tidewait_command({});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, ContainsRegex("^tidewait: write one of: .*why, .*list.*\n"));
}

TEST(Command, PointsToTheHelpOfTheSubcommandThatWasMisused) {
  const run_result result = tidewait_command({"list", "--frobnicate"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(StartsWith("tidewait list: "), HasSubstr("--frobnicate"),
                                HasSubstr("See tidewait list --help\n")));
}

TEST(Command, PointsToTheDashesThatWereLeftOut) {
  const run_result run = tidewait_command({"run", "python3", "-m", "unittest"});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("put -- before the command: tidewait run [options] -- COMMAND"));
  const run_result record = tidewait_command({"known", "record", "ctest", "-j4"});
  EXPECT_EQ(record.status, 2);
  EXPECT_THAT(record.err, HasSubstr("tidewait known record [options] -- COMMAND"));
  EXPECT_THAT(tidewait_command({"run", "--colour", "--", "true"}).err, Not(HasSubstr("put --")));
  EXPECT_THAT(tidewait_command({"why", "80", "-m"}).err, Not(HasSubstr("put --")));
}

class FullDisk : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(FullDisk, IsAnErrorAndNotSilence) {
  run_options options;
  options.out = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const run_result result = tidewait_command(GetParam(), options);
  ::close(options.out);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.err, "tidewait: writing to standard output: No space left on device\n");
}

INSTANTIATE_TEST_SUITE_P(Command, FullDisk,
                         testing::Values(std::vector<std::string>{"--version"},
                                         std::vector<std::string>{"--help"},
                                         std::vector<std::string>{"list"},
                                         std::vector<std::string>{"list", "--json"},
                                         std::vector<std::string>{"why", "1"}));

TEST(Command, RefusesACommandWhereItRunsNone) {
  for (const char* name : {"list", "doctor"}) {
    const run_result result = tidewait_command({name, "--", "no-such-command"});
    EXPECT_EQ(result.status, 2) << name;
    EXPECT_THAT(result.err, HasSubstr("no-such-command")) << name;
  }
}

TEST(Command, EndsQuietlyWhenItsReaderIsGone) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::close(ends[0]);
  run_options options;
  options.out = ends[1];
  options.prepare = [] { ::signal(SIGPIPE, SIG_DFL); };
  const run_result result = tidewait_command({"list"}, options);
  ::close(ends[1]);
  EXPECT_EQ(result.status, 128 + SIGPIPE);
  EXPECT_EQ(result.err, "");
}

/// What `tidewait list` prints to a terminal.
std::string on_a_terminal(std::vector<std::string> arguments, run_options options = {}) {
  int ours = -1;
  int theirs = -1;
  if (::openpty(&ours, &theirs, nullptr, nullptr, nullptr) != 0) return "skip: no pseudo terminal";
  options.environment.emplace_back("NO_COLOR=");
  std::rotate(options.environment.rbegin(), options.environment.rbegin() + 1,
              options.environment.rend());
  options.out = theirs;
  // A state that no socket is in: the heading alone, which any terminal buffers.
  arguments.insert(arguments.begin(), {"list", "--state", "LISTEN", "--udp"});
  tidewait_command(arguments, options);
  ::close(theirs);
  std::string text;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(ours, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  ::close(ours);
  return text;
}

bool is_coloured(const std::string& text) { return text.find("\033[") != std::string::npos; }

TEST(Colour, IsForTerminals) {
  const std::string text = on_a_terminal({}, {{"TERM=xterm"}});
  if (text.rfind("skip: ", 0) == 0) GTEST_SKIP() << text;
  EXPECT_TRUE(is_coloured(text)) << text;
  EXPECT_FALSE(is_coloured(tidewait_command({"list"}, {{"TERM=xterm"}}).out));
}

TEST(Colour, IsNotForThoseWhoSetNoColor) {
  const std::string text = on_a_terminal({}, {{"TERM=xterm", "NO_COLOR=1"}});
  if (text.rfind("skip: ", 0) == 0) GTEST_SKIP() << text;
  EXPECT_THAT(text, HasSubstr("proto"));
  EXPECT_FALSE(is_coloured(text)) << text;
}

TEST(Colour, IsNotForDumbTerminals) {
  const std::string text = on_a_terminal({}, {{"TERM=dumb"}});
  if (text.rfind("skip: ", 0) == 0) GTEST_SKIP() << text;
  EXPECT_THAT(text, HasSubstr("proto"));
  EXPECT_FALSE(is_coloured(text)) << text;
}

TEST(Colour, DoesAsItIsTold) {
  EXPECT_TRUE(is_coloured(tidewait_command({"list", "--color", "always"}, {{"NO_COLOR=1"}}).out));
  const std::string text = on_a_terminal({"--color", "never"}, {{"TERM=xterm"}});
  if (text.rfind("skip: ", 0) == 0) GTEST_SKIP() << text;
  EXPECT_FALSE(is_coloured(text)) << text;

  const run_result wrong = tidewait_command({"list", "--color", "mauve"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("'mauve' is none of: auto, always, never"));
}

TEST(PolicyCheck, PrintsTheRulesInShortForm) {
  const run_result checked =
      tidewait_command({"policy", "check", R"(TIME-WAIT+test="name, rest";warn:port=80-80)",
                        "max_wait=2s", "audit"});
  EXPECT_EQ(checked.status, 0);
  EXPECT_EQ(checked.out, "time_wait+test=\"name, rest\", warn:port=80, max_wait=2000ms, audit\n");
  EXPECT_EQ(checked.err, "");
  EXPECT_EQ(tidewait_command({"policy", "check", checked.out}).out, checked.out);
}

TEST(PolicyCheck, PrintsARuleOfAFileInALineOfItsOwnWithItsNumber) {
  std::string folder = testing::TempDir() + "tidewait-policy-check-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/a, known.txt";
  std::ofstream{file} << "# ours\n\nLISTEN+port=8080-8080  # #4711\r\ntest=\"a, b\"+bound";
  const run_result checked =
      tidewait_command({"policy", "check", "warn:bound", "@\"" + file + "\", audit"});
  std::filesystem::remove_all(folder);
  EXPECT_EQ(checked.status, 0) << checked.err;
  EXPECT_EQ(checked.out, "warn:bound\n" + file + ":3: listen+port=8080\n" + file +
                             ":4: bound+test=\"a, b\"\naudit\n");
}

TEST(PolicyCheck, QuotesWhatCannotBeRead) {
  for (const char* const text : {"test=name, rest+time_wait", "rest+time_wait"}) {
    const run_result checked = tidewait_command({"policy", "check", "listen", text});
    EXPECT_EQ(checked.status, 2);
    EXPECT_EQ(checked.out, "");
    EXPECT_THAT(checked.err, HasSubstr("'rest+time_wait'"));
    EXPECT_THAT(checked.err, HasSubstr("a rule is"));
  }
  EXPECT_EQ(tidewait_command({"policy"}).status, 2);
  EXPECT_EQ(tidewait_command({"policy", "check"}).status, 2);
}

}  // namespace
