// SPDX-License-Identifier: BSL-1.0
//
// A program and its library or plugin each have a copy of tidewait, and must not have two minds.
// Not under a sanitizer: those programs take a minute to compile there.
#ifdef SELFTEST_COPIES_LINKED_HEADERS
#include <gmock/gmock.h>

#include "../support/golden.hpp"
#include "../support/run_program.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;

struct pair_of_copies {
  const char* program;
  const char* plugin;
};

class Copies : public testing::TestWithParam<pair_of_copies> {
 protected:
  static std::string said(const char* who, const char* what) {
    std::vector<std::string> command{GetParam().program, who, what};
    if (*GetParam().plugin != '\0') command.push_back(GetParam().plugin);
    return selftest::normalised(selftest::run_together(command).out);
  }
};

TEST_P(Copies, KnowOfEachOthersLeases) {
  for (const char* what : {"bound", "time_wait"}) {
    EXPECT_THAT(said("part leases", what), HasSubstr("tidewait: Program left 1 socket behind"));
    EXPECT_THAT(said("program leases", what), HasSubstr("tidewait: Part left 1 socket behind"));
  }
  EXPECT_EQ(said("part leases", "nothing"), "");
  EXPECT_EQ(said("program leases", "nothing"), "");
}

INSTANTIATE_TEST_SUITE_P(
    Of, Copies,
    testing::Values(pair_of_copies{SELFTEST_COPIES_LINKED_HEADERS, ""},
                    pair_of_copies{SELFTEST_COPIES_LINKED_COMPILED, ""},
                    pair_of_copies{SELFTEST_COPIES_PLUGIN_HEADERS, SELFTEST_COPIES_PART_HEADERS},
                    pair_of_copies{SELFTEST_COPIES_PLUGIN_COMPILED, SELFTEST_COPIES_PART_COMPILED},
                    pair_of_copies{SELFTEST_COPIES_PLUGIN_HEADERS, SELFTEST_COPIES_PART_COMPILED},
                    pair_of_copies{SELFTEST_COPIES_PLUGIN_COMPILED, SELFTEST_COPIES_PART_HEADERS}));

TEST(CopiesThatDoNotFit, SaySoWhoeverLooks) {
  for (const char* who : {"part leases", "program leases"}) {
    const auto run = selftest::run_together(
        {SELFTEST_COPIES_PLUGIN_HEADERS, who, "nothing", SELFTEST_COPIES_PART_OTHER});
    EXPECT_THAT(run.out, AllOf(HasSubstr("another copy of tidewait is in this process"),
                               HasSubstr("debug")));
  }
}

}  // namespace
#endif
