// SPDX-License-Identifier: BSL-1.0
//
// The paths of Unix sockets in files of known findings.

#include <algorithm>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/detail/glob.hpp>
#include <tidewait/detail/recorded_path.hpp>
#include <tidewait/policy.hpp>

namespace {

TEST(RecordedPaths, HaveNoNameOfAUnixSocketThatIsAnotherInTheNextRun) {
  using tidewait::detail::recorded_path;
  EXPECT_EQ(recorded_path("@0a1b2"), "@?????") << "the kernel chose it";
  EXPECT_EQ(recorded_path("@0a1b2c"), "@0a1b2c");
  EXPECT_EQ(recorded_path("/tmp/tidewait-0123456789abcdef/s"), "/tmp/tidewait-*/s") << "a lease";
  EXPECT_EQ(recorded_path("/tmp/tidewait-x/s"), "/tmp/tidewait-x/s");
  EXPECT_EQ(recorded_path("/"), "/");
}

TEST(RecordedPaths, HaveAPatternForTheFolderThatIsAnotherInAnotherCheckout) {
  const tidewait::detail::recording_place place{
      {"/home/me/app/build/net", "/home/me/app/tests", "/home/me"}, {"/tmp", "/run/user/7"}, {}};
  for (const auto& [name, pattern] : std::map<std::string, std::string>{
           {"/home/me/app/build/net/a.sock", "*/a.sock"},
           {"/home/me/app/build/run/a.sock", "*/run/a.sock"},
           {"/home/me/app/tests/data/a.sock", "*/data/a.sock"},
           {"/home/me/.cache/a.sock", "*/.cache/a.sock"},
           {"/home/me2/a.sock", "*/me2/a.sock"},
           {"/tmp/a.sock", "*/a.sock"},
           {"/tmp/a/b.sock", "*/a/b.sock"},
           {"/tmpfs/a.sock", "/tmpfs/a.sock"},
           {"/run/user/7/a.sock", "*/a.sock"},
           {"/run/user/77/a.sock", "/run/user/77/a.sock"},
           {"/run/mysqld.sock", "/run/mysqld.sock"},
           {"a.sock", "a.sock"},
           {"@/home/me/app/a", "@/home/me/app/a"},
           {"/tmp", "/tmp"},
           {"/", "/"},
       }) {
    EXPECT_EQ(tidewait::detail::recorded_path(name, place), pattern);
    EXPECT_TRUE(tidewait::detail::matches(pattern, name));
  }
}

TEST(RecordedPaths, HaveAPatternForWhatIsRandomInATemporaryName) {
  const tidewait::detail::recording_place place{{"/home/me"}, {"/tmp"}, {"4711", "13"}};
  for (auto [name, pattern] : std::map<std::string, std::string>{
           {"/tmp/app-aB3xYz/s", "*/app-%%%%%%/s"},
           {"/tmp/app.k3VbQ9xLmP", "*/app.%%%%%%%%%%"},
           {"/tmp/app-aB3xYz.sock", "*/app-%%%%%%.sock"},
           {"/tmp/tmpab12cd_3/s", "*/tmp%%%%%%%%/s"},
           {"/tmp/app/aB3xYz", "*/app/aB3xYz"},
           {"/home/me/aB3xYz/s", "*/aB3xYz/s"},
           {"/tmp/server12/s", "*/server12/s"},
           {"/tmp/EchoServer1.sock", "*/EchoServer1.sock"},
           {"/tmp/ECHO_SERVER", "*/ECHO_SERVER"},
           {"/tmp/app-4711.sock", "*/app-*.sock"},
           {"/tmp/redis-6379.sock", "*/redis-6379.sock"},
           {"/run/app-4711/113/13", "/run/app-*/113/*"},
           {"@app-4711", "@app-*"},
       }) {
    std::replace(pattern.begin(), pattern.end(), '%', '?');  // "??/" is a trigraph
    EXPECT_EQ(tidewait::detail::recorded_path(name, place), pattern);
    EXPECT_TRUE(tidewait::detail::matches(pattern, name));
  }
}

TEST(RecordedPaths, ReadBackANameThatLooksLikeTheGrammar) {
  const tidewait::detail::recording_place place{{"/home/me"}, {"/tmp"}, {}};
  for (const std::string name : {"/tmp/a,b+c \"d\".sock", "/home/me/#x;'\\y\n@z",
                                 "/home/me/*?[a].sock", "/tmp/\xff\t/test=x"}) {
    tidewait::policy_rule rule;
    rule.path = tidewait::detail::recorded_path(name, place);
    rule.test = "Net.Echo";
    const std::string text = to_string(rule);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    const tidewait::policy read = tidewait::parse_policy(text);
    ASSERT_EQ(read.rules().size(), 1U) << text;
    EXPECT_TRUE(tidewait::detail::matches(read.rules().front().path, name)) << text;
    EXPECT_FALSE(tidewait::detail::matches(read.rules().front().path, name + 'x')) << text;
    EXPECT_EQ(read.rules().front().test, rule.test);
  }
}

}  // namespace
