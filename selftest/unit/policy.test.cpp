// SPDX-License-Identifier: BSL-1.0
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include <tidewait/detail/toleration_ledger.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/watch.hpp>

namespace {

using tidewait::action;
using tidewait::observed_socket;
using tidewait::policy;
using tidewait::socket_state;

observed_socket socket_in(socket_state state, std::uint16_t port = 8080,
                          const char* owner = "server") {
  observed_socket socket;
  socket.state = state;
  socket.local.port = port;
  tidewait::process holder;
  holder.name = owner;
  socket.owners.push_back(holder);
  return socket;
}

TEST(Policy, ByDefaultWhateverIsLeftFails) {
  for (const socket_state state : tidewait::all_socket_states) {
    EXPECT_EQ(policy{}.judge(socket_in(state), "Suite.Test"), action::fail);
  }
  EXPECT_EQ(policy{}.max_wait(), std::chrono::milliseconds{250});
  EXPECT_EQ(policy{}.on_blind(), tidewait::when_blind::fail);
}

TEST(Policy, ToleratesAStateAndNoOther) {
  const policy rules = policy{}.tolerate(socket_state::time_wait);
  EXPECT_EQ(rules.judge(socket_in(socket_state::time_wait), ""), action::tolerate);
  EXPECT_EQ(rules.judge(socket_in(socket_state::listen), ""), action::fail);
}

TEST(Policy, OfTheRulesThatMatchTheLastCounts) {
  const policy rules = policy{}.tolerate(8080).fail(socket_state::listen);
  EXPECT_EQ(rules.judge(socket_in(socket_state::listen), ""), action::fail);
  EXPECT_EQ(rules.judge(socket_in(socket_state::bound), ""), action::tolerate);
  EXPECT_EQ(rules.judge(socket_in(socket_state::bound, 8081), ""), action::fail);
}

/// So that the rule of a file of known findings is not said to let nothing pass.
TEST(Policy, OfTheRulesThatSayTheSameTheOneThatNamesTheTestIsUsed) {
  const observed_socket socket = socket_in(socket_state::listen, 80, "s");
  const auto used = [&](const char* rules, const char* test) {
    const tidewait::policy policy = tidewait::parse_policy(rules);
    const tidewait::policy_rule* const rule = policy.match(socket, test);
    return rule == nullptr ? std::string{} : to_string(*rule);
  };
  EXPECT_EQ(used("port=80+test=A.b, owner=s", "A.b"), "port=80+test=A.b");
  EXPECT_EQ(used("owner=s, port=80+test=A.b", "A.b"), "port=80+test=A.b");
  EXPECT_EQ(used("port=80+test=A.b, owner=s", "C.d"), "owner=s");
  EXPECT_EQ(used("port=80+test=A.b, listen+test=*, owner=s", "A.b"), "listen+test=*");
  EXPECT_EQ(used("port=80+test=A.b, fail:owner=s", "A.b"), "fail:owner=s");
  EXPECT_EQ(used("fail:port=80+test=A.b, owner=s", "A.b"), "owner=s");
  EXPECT_EQ(used("warn:port=80+test=A.b, owner=s", "A.b"), "owner=s");
}

TEST(Policy, JudgesByOwner) {
  const policy rules = policy{}.tolerate_owner("redis-server");
  EXPECT_EQ(rules.judge(socket_in(socket_state::listen, 1, "redis-server"), ""), action::tolerate);
  EXPECT_EQ(rules.judge(socket_in(socket_state::listen, 1, "redis"), ""), action::fail);
}

struct text_case {
  const char* text;
  socket_state state;
  std::uint16_t port;
  const char* owner;
  const char* test;
  action wanted;
};

class PolicyText : public testing::TestWithParam<text_case> {};

TEST_P(PolicyText, SaysWhatToDo) {
  const text_case& each = GetParam();
  const observed_socket socket = socket_in(each.state, each.port, each.owner);
  EXPECT_EQ(tidewait::parse_policy(each.text).judge(socket, each.test), each.wanted) << each.text;
}

constexpr auto tw = socket_state::time_wait;
constexpr auto ls = socket_state::listen;

INSTANTIATE_TEST_SUITE_P(
    Grammar, PolicyText,
    testing::Values(text_case{"", tw, 1, "s", "A.b", action::fail},
                    text_case{"time_wait", tw, 1, "s", "A.b", action::tolerate},
                    text_case{"TIME-WAIT", tw, 1, "s", "A.b", action::tolerate},
                    text_case{"time_wait", ls, 1, "s", "A.b", action::fail},
                    text_case{"listen, warn:time_wait", tw, 1, "s", "A.b", action::warn},
                    text_case{"time_wait;fail:port=80", tw, 80, "s", "A.b", action::fail},
                    text_case{"port=80-90", ls, 90, "s", "A.b", action::tolerate},
                    text_case{"port=80-90", ls, 91, "s", "A.b", action::fail},
                    text_case{"time_wait+port=80", tw, 80, "s", "A.b", action::tolerate},
                    text_case{"time_wait+port=80", ls, 80, "s", "A.b", action::fail},
                    text_case{"time_wait+port=80", tw, 81, "s", "A.b", action::fail},
                    text_case{"owner=redis", ls, 1, "redis", "A.b", action::tolerate},
                    text_case{"owner=redis", ls, 1, "nginx", "A.b", action::fail},
                    text_case{"test=A.*", ls, 1, "s", "A.b", action::tolerate},
                    text_case{"test=A.*", ls, 1, "s", "B.b", action::fail},
                    text_case{"test=*.slow?+listen", ls, 1, "s", "B.slow1", action::tolerate},
                    text_case{R"(test="A, b")", ls, 1, "s", "A, b", action::tolerate},
                    text_case{R"(test="A, b")", ls, 1, "s", "A", action::fail},
                    text_case{R"(test="A*, b")", ls, 1, "s", "A1, b", action::tolerate},
                    text_case{"time_wait, fail:any", tw, 1, "s", "A.b", action::fail},
                    text_case{"tolerate:unconn", socket_state::unconn, 1, "s", "",
                              action::tolerate}));

TEST(PolicyText, SetsTheLongestWaitAndWhatToDoWhenBlind) {
  const policy rules = tidewait::parse_policy("max_wait=2s blind=skip");
  EXPECT_EQ(rules.max_wait(), std::chrono::seconds{2});
  EXPECT_EQ(rules.on_blind(), tidewait::when_blind::skip);
  EXPECT_EQ(tidewait::parse_policy("max_wait=40").max_wait(), std::chrono::milliseconds{40});
  EXPECT_EQ(tidewait::parse_policy("max_wait=40ms").max_wait(), std::chrono::milliseconds{40});
}

TEST(PolicyText, ThatCannotBeReadIsQuotedAndExplained) {
  for (const char* text :
       {"tme_wait",   "port=0",      "port=70000",     "port=9-8",         "max_wait=soon",
        "blind=yes",  "warn:",       "time_wait+",     "+time_wait",       "time_wait++bound",
        "port=",      "max_wait=1h", "max_wait=3601s", "max_wait=3600001", "warn:max_wait=2s",
        "any+listen", "fail:",       "TIME WAIT",      "anything",         "warn:fail:listen"}) {
    try {
      tidewait::parse_policy(text);
      ADD_FAILURE() << text;
    } catch (const tidewait::policy_error& error) {
      EXPECT_EQ(error.code(), tidewait::errc::bad_policy);
      const std::string first_word = std::string{text}.substr(0, std::string{text}.find(' '));
      EXPECT_NE(std::string{error.what()}.find(first_word), std::string::npos) << error.what();
      EXPECT_FALSE(error.likely_cause().empty());
    }
  }
}

// Each of these would let more pass than it says.
TEST(PolicyText, ThatWouldTolerateMoreThanItSaysIsRefused) {
  for (const char* text : {"owner=", "test=", "test=\"\"", "owner=+listen", "listen+bound",
                           "port=1+port=2", "owner=a+owner=b", "test=a+test=b", "unconn+listen"}) {
    EXPECT_THROW(tidewait::parse_policy(text), tidewait::policy_error) << text;
  }
}

TEST(PolicyText, TakesAnyNameInQuotes) {
  struct quoted {
    const char* text;
    const char* name;
  };
  for (const quoted& each :
       {quoted{R"(test="name, rest"+time_wait)", "name, rest"},
        quoted{R"(time_wait+test="name, rest")", "name, rest"},
        quoted{R"(test="a;b + c")", "a;b + c"}, quoted{R"(test="say \"hi\"")", "say \"hi\""},
        quoted{R"(test="back\\slash\\")", "back\\slash\\"},
        quoted{R"(test="\x2c\x0A\x5b")", ",\n["},
        quoted{R"(test="port=1,listen")", "port=1,listen"}, quoted{R"(test="plain")", "plain"},
        quoted{"test=\"caf\xc3\xa9, open\"", "caf\xc3\xa9, open"}}) {
    const policy rules = tidewait::parse_policy(each.text);
    ASSERT_EQ(rules.rules().size(), 1U) << each.text;
    EXPECT_EQ(rules.rules().front().test, each.name) << each.text;
  }
  EXPECT_EQ(tidewait::parse_policy(R"(owner="a, b", listen)").rules().size(), 2U);
}

TEST(PolicyText, ThatIsBadlyQuotedIsRefused) {
  for (const char* text :
       {R"(test="name)", R"(test="name\")", R"(test=na"me)", R"(test="na"me)", R"(test=na\me)",
        R"(test="\n")", R"(test="\x2")", R"(test="\x2g")", R"(test="\)", R"("listen")",
        R"(test=name\, rest)", R"(test="a" "b")", R"(port="80")"}) {
    EXPECT_THROW(tidewait::parse_policy(text), tidewait::policy_error) << text;
  }
}

TEST(PolicyText, IsWhatARuleReadsBackAs) {
  for (const char* const text :
       {"time_wait", "warn:listen", "fail:bound+port=8080", "port=8000-8010+owner=redis-server",
        "warn:time_wait+port=1+owner=a+test=Slow.*", "any", "fail:any",
        R"(listen+owner="a \"b\" \\c, d+e;\x0a\x7f")", "max_wait=1000ms", "blind=skip", "audit",
        "port=1, fail:port=2, max_wait=1ms, blind=skip, audit", ""}) {
    const policy rules = tidewait::parse_policy(text);
    EXPECT_EQ(to_string(rules), text);
  }
  EXPECT_EQ(to_string(tidewait::policy_rule{}), "any");
  EXPECT_EQ(to_string(tidewait::parse_policy("warn:any").rules().front()), "warn:any");
}

TEST(PolicyText, AsksForAnAudit) {
  EXPECT_TRUE(tidewait::parse_policy("time_wait audit").audited());
  EXPECT_FALSE(tidewait::parse_policy("time_wait").audited());
}

TEST(AuditDeathTest, OfAForkedChildIsOfItsOwnWatches) {
  const auto parent_and_child = [] {
    const tidewait::watch of_parent{tidewait::parse_policy("audit, port=1")};
    const pid_t child = ::fork();
    if (child == 0) {
      const tidewait::watch of_child{tidewait::parse_policy("audit, port=2")};
      std::exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(WEXITSTATUS(status));
  };
  EXPECT_EXIT(parent_and_child(), testing::ExitedWithCode(0),
              "^tidewait: what the policies of this program let pass\n"
              "  port=2: nothing\n$");
}

TEST(TolerationLedger, ListsEachRuleOnceWithWhatItLetPass) {
  tidewait::detail::toleration_ledger ledger;
  EXPECT_EQ(ledger.render(), "");
  const policy rules = policy{}
                           .tolerate(tw, "the server closes first")
                           .warn(socket_state::bound)
                           .fail(ls)
                           .tolerate(8080);
  ledger.know(rules);
  ledger.know(rules);
  ledger.add(rules.rules()[0], "0.0.0.0:1 in A.b");
  for (const char* const what : {"a", "a", "b", "c", "d", "e"}) ledger.add(rules.rules()[1], what);
  EXPECT_EQ(ledger.render(),
            "tidewait: what the policies of this program let pass\n"
            "  time_wait (the server closes first): 0.0.0.0:1 in A.b\n"
            "  warn:bound: a, b, c, d, and 1 more\n"
            "  port=8080: nothing\n");
}

}  // namespace
