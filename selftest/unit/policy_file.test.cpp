// SPDX-License-Identifier: BSL-1.0
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/linux/edited_file.hpp>
#include <tidewait/policy.hpp>

#include "../support/forked.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using tidewait::policy;
using tidewait::detail::edit_named_file;
using tidewait::detail::with_rules;

class PolicyFile : public testing::Test {
 protected:
  PolicyFile() {
    std::string name = testing::TempDir() + "tidewait-policy-file-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) directory_ = name;
  }
  ~PolicyFile() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path(const std::string& name) const { return directory_ + '/' + name; }
  std::string make(const std::string& text, const std::string& name = "known.txt") const {
    std::ofstream{path(name), std::ios::binary} << text;
    return path(name);
  }
  static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
  }
  /// What is wrong with a file of this text; empty if it can be read.
  std::string flaw(const std::string& text) const {
    try {
      tidewait::read_policy_file(make(text));
    } catch (const tidewait::policy_error& error) {
      return error.what();
    }
    return {};
  }

  std::string directory_;
};

TEST_F(PolicyFile, HasOneRuleALineWithItsReason) {
  const std::string file = make(
      "\xef\xbb\xbf# Known findings\n"
      "\n"
      "listen+port=8080   # the old server\r\n"
      "  time_wait+test=\"a, b # c\"\t#another\n"
      "fail:test=C#.*\n"
      "warn:tag=[Net]+bound # a tag");
  const policy read = tidewait::parse_policy("@" + file);
  ASSERT_EQ(read.rules().size(), 4U);
  EXPECT_EQ(to_string(read),
            "listen+port=8080, time_wait+test=\"a, b # c\", fail:test=C#.*, warn:bound+tag=Net");
  EXPECT_EQ(read.rules()[0].reason, "the old server");
  EXPECT_EQ(read.rules()[1].reason, "another");
  EXPECT_EQ(read.rules()[2].reason, "");
  EXPECT_EQ(read.rules()[3].line, 6U);
  EXPECT_EQ(read.rules()[3].file, file);
}

TEST_F(PolicyFile, StandsBesideOtherItemsAndHasSettings) {
  make("time_wait\nmax_wait=1s\nwarn:all\n", "a b, c.txt");
  const policy read = tidewait::parse_policy("listen, @\"" + path("a b, c.txt") + "\"; warn:bound");
  EXPECT_EQ(to_string(read), "listen, time_wait, warn:bound, max_wait=1000ms, warn:all");
}

TEST_F(PolicyFile, ThatIsEmptyHasNoRule) {
  EXPECT_EQ(flaw(""), "");
  EXPECT_EQ(flaw("\n\r\n# nothing\n\t"), "");
}

TEST_F(PolicyFile, IsQuotedWithTheLineThatCannotBeRead) {
  EXPECT_THAT(flaw("listen\n\nlisen # typo\n"),
              AllOf(HasSubstr("known.txt:3: "), HasSubstr("'lisen'"), HasSubstr("a rule is")));
  EXPECT_THAT(flaw("listen time_wait\n"), HasSubstr("one rule a line"));
  EXPECT_THAT(flaw("listen,\n"), HasSubstr("one rule a line"));
  EXPECT_THAT(flaw("@other.txt\n"), HasSubstr("names no other file"));
  EXPECT_THAT(flaw("test=\"open\n"), HasSubstr("known.txt:1: "));
  EXPECT_THAT(flaw("test=\"a\" # fine\n\x1b[2J\n"),
              AllOf(HasSubstr("known.txt:2: "), testing::Not(HasSubstr("\x1b"))));
  EXPECT_THAT(flaw(std::string("listen\n\0\n", 9)), HasSubstr("known.txt:2: "));
  EXPECT_THAT(flaw("listen\n" + std::string(5000, 'x') + "\n"),
              AllOf(HasSubstr("known.txt:2: "), HasSubstr("4096 bytes")));
}

TEST_F(PolicyFile, ThatIsHugeOrNoFileIsRefusedAtOnce) {
  EXPECT_THAT(flaw(std::string(2 << 20, '\n')), HasSubstr("larger than 1 MiB"));
  EXPECT_THAT(flaw("# 100,000 comments are no rule\n"), "");
  const auto refusal = [](const std::string& name) {
    try {
      tidewait::parse_policy("@" + name);
    } catch (const tidewait::policy_error& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(refusal(path("fifo")), HasSubstr("it is not a regular file"));
  EXPECT_THAT(refusal("/dev/zero"), HasSubstr("it is not a regular file"));
  EXPECT_THAT(refusal(directory_), HasSubstr("Is a directory"));
  EXPECT_THAT(refusal(path("none")), HasSubstr("No such file"));
  EXPECT_THAT(refusal("none.txt"), HasSubstr("a relative path starts at the working directory"));
  EXPECT_THAT(refusal(""), HasSubstr("an empty name"));
}

TEST_F(PolicyFile, MatchesTagsInAnyCaseAndOnlyThose) {
  tidewait::observed_socket socket;
  socket.state = tidewait::socket_state::listen;
  const policy rules = tidewait::parse_policy("tag=net*");
  EXPECT_NE(rules.match(socket, tidewait::test_id{"name", {"slow", "NETWORK"}}), nullptr);
  EXPECT_EQ(rules.match(socket, tidewait::test_id{"net", {"slow"}}), nullptr);
  EXPECT_EQ(rules.match(socket, "net"), nullptr);
}

TEST_F(PolicyFile, TakesATagAsItIsWrittenInTheTest) {
  const auto tag = [](const char* text) { return tidewait::parse_policy(text).rules()[0].tag; };
  EXPECT_EQ(tag("tag=[net]"), "net");
  EXPECT_EQ(tag("tag=.net"), "net") << "Catch2 makes two tags of it";
  EXPECT_EQ(tag("tag=[.net]"), "net");
  EXPECT_EQ(tag("tag=[.]"), ".");
  EXPECT_EQ(tag("tag=[!mayfail]"), "!mayfail");
  EXPECT_EQ(tag("tag=.*"), ".*");
}

TEST(Policy, TakesOverTheRulesAndTheSettingsOfAnother) {
  policy rules = policy{}.tolerate(80).max_wait(std::chrono::milliseconds{5});
  const policy copy = rules;
  rules.add(tidewait::parse_policy("listen blind=skip"));
  EXPECT_EQ(to_string(rules), "port=80, listen, max_wait=5ms, blind=skip");
  EXPECT_EQ(to_string(copy), "port=80, max_wait=5ms") << "a copy does not change";
  rules.add(rules);
  EXPECT_EQ(rules.rules().size(), 4U);
}

TEST(RecordedRules, AreSortedAmongWhatIsThereAndThatStays) {
  const std::string made = with_rules("", {"time_wait+test=B", "listen+test=A"});
  EXPECT_THAT(made, MatchesRegex("# Known findings(.|\n)*\nlisten\\+test=A\ntime_wait\\+test=B\n"));
  EXPECT_EQ(with_rules(made, {"listen+test=A"}), made) << "no rule twice";
  EXPECT_EQ(with_rules("bound # kept\n\n# a part\nzzz", {"listen+test=A"}),
            "bound # kept\n\n# a part\nlisten+test=A\nzzz\n");
  const std::string one = with_rules(with_rules("", {"a", "c"}), {"b"});
  EXPECT_EQ(one, with_rules(with_rules("", {"b"}), {"c", "a"})) << "whoever comes first";
}

TEST(RecordedRules, GoBehindAByteOrderMark) {
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(with_rules(mark + "# ours\r\nzzz\r\n", {"listen+test=A"}),
            mark + "# ours\r\nlisten+test=A\nzzz\r\n");
}

TEST(RecordedRules, OfAVeryLongNameFitIntoALine) {
  const std::string name = std::string(799, '\n') + "\u00e9" + std::string(5000, 'x');
  tidewait::policy_rule rule;
  rule.test = tidewait::detail::recorded_test(name);
  EXPECT_EQ(rule.test, std::string(799, '\n') + '*') << "no half of a character";
  EXPECT_LE(to_string(rule).size(), tidewait::detail::longest_policy_line - 100);
  EXPECT_EQ(tidewait::parse_policy(to_string(rule)).rules().front().test, rule.test);
  EXPECT_EQ(tidewait::detail::recorded_test("Net.Echo"), "Net.Echo");
}

TEST_F(PolicyFile, KeepsEveryRuleThatManyProcessesAddAtOnce) {
  const std::string file = path("known.txt");
  std::vector<forked> writers;
  for (int i = 0; i < 6; ++i) {
    writers.emplace_back([&file, i](auto say) {
      for (int j = 0; j < 15; ++j) {
        const std::string rule = "listen+test=T" + std::to_string(i) + '.' + std::to_string(j);
        const auto error = edit_named_file(
            file, 1 << 20, [&](const std::string& text) { return with_rules(text, {rule}); });
        if (error) say(error.message());
      }
    });
  }
  for (forked& each : writers) EXPECT_EQ(each.all(), "");
  EXPECT_EQ(tidewait::read_policy_file(file).rules().size(), 90U);
  std::size_t files = 0;
  for (const auto& each : std::filesystem::directory_iterator{directory_}) {
    ++files;
    EXPECT_EQ(each.path(), file);
  }
  EXPECT_EQ(files, 1U) << "no lock and no temporary file is left";
}

TEST_F(PolicyFile, TakesAwayWhatAKilledWriterHasLeft) {
  make("# ours\n", "known.txt");
  make("half a", ".known.txt.tidewait");
  const auto add = [](const std::string& text) { return text + "listen\n"; };
  EXPECT_EQ(edit_named_file(path("known.txt"), 100, add), std::error_code{});
  EXPECT_EQ(text_of(path("known.txt")), "# ours\nlisten\n");
  EXPECT_FALSE(std::filesystem::exists(path(".known.txt.tidewait")));
}

TEST_F(PolicyFile, IsNotEditedThroughALinkNorIntoWhatIsNoFileNorBeyondItsSize) {
  const auto add = [](const std::string& text) { return text + "listen\n"; };
  make("time_wait\n", "real.txt");
  ASSERT_EQ(::symlink("real.txt", path("link").c_str()), 0);
  EXPECT_EQ(edit_named_file(path("link"), 100, add), std::errc::too_many_symbolic_link_levels);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(edit_named_file(path("fifo"), 100, add), std::errc::invalid_argument);
  EXPECT_EQ(edit_named_file(path("real.txt"), 12, add), std::errc::file_too_large);
  EXPECT_EQ(edit_named_file(path("none/known.txt"), 100, add),
            std::errc::no_such_file_or_directory);
  EXPECT_EQ(text_of(path("real.txt")), "time_wait\n");
  ASSERT_EQ(::chmod(path("real.txt").c_str(), 0640), 0);
  EXPECT_EQ(edit_named_file(path("real.txt"), 100, add), std::error_code{});
  EXPECT_EQ(text_of(path("real.txt")), "time_wait\nlisten\n");
  struct stat info {};
  EXPECT_EQ(::stat(path("real.txt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
}

}  // namespace
