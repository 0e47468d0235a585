// SPDX-License-Identifier: BSL-1.0
#include <tidewait/error.hpp>
#include <tidewait/policy_text.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  try {
    tidewait::parse_policy(input);
  } catch (const tidewait::observe_error& error) {
    FUZZ_EXPECT(error.code() == tidewait::errc::bad_policy);
  }
}
