// SPDX-License-Identifier: BSL-1.0
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  try {
    const tidewait::policy rules = tidewait::parse_policy(input);
    const std::string text = to_string(rules);
    FUZZ_EXPECT(to_string(tidewait::parse_policy(text)) == text);
    for (const tidewait::policy_rule& rule : rules.rules()) {
      const auto again = tidewait::parse_policy(to_string(rule));
      FUZZ_EXPECT(again.rules().size() == 1);
      FUZZ_EXPECT(again.rules()[0].test == rule.test && again.rules()[0].owner == rule.owner);
    }
  } catch (const tidewait::policy_error& error) {
    FUZZ_EXPECT(error.code() == tidewait::errc::bad_policy);
  }
}
