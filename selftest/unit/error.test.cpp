// SPDX-License-Identifier: BSL-1.0
#include <set>
#include <string>
#include <system_error>
#include <type_traits>

#include <gtest/gtest.h>

#include <tidewait/error.hpp>

namespace {

using tidewait::errc;

TEST(Error, SaysWhatWasDoneWhatTheSystemSaidAndTheLikelyCause) {
  const tidewait::observe_error error{std::make_error_code(std::errc::permission_denied),
                                      "asking the kernel for its sockets", "seccomp forbids it"};
  EXPECT_STREQ(error.what(),
               "asking the kernel for its sockets: Permission denied; seccomp forbids it");
  EXPECT_EQ(error.likely_cause(), "seccomp forbids it");
  EXPECT_EQ(error.code(), std::errc::permission_denied);
}

/// One base, and none of the three is another.
template <typename Error, typename... Others>
constexpr bool stands_alone = std::is_base_of_v<tidewait::error, Error> &&
                              (!std::is_base_of_v<Others, Error> && ...);

TEST(Error, HasOneBaseAndKindsThatNoHandlerMixesUp) {
  using tidewait::lease_error, tidewait::observe_error, tidewait::policy_error;
  static_assert(std::is_base_of_v<std::system_error, tidewait::error>);
  static_assert(stands_alone<lease_error, observe_error, policy_error>);
  static_assert(stands_alone<observe_error, lease_error, policy_error>);
  static_assert(stands_alone<policy_error, lease_error, observe_error>);
}

TEST(Error, MayHaveNoLikelyCause) {
  const tidewait::lease_error error{errc::no_free_port, "leasing a port"};
  EXPECT_STREQ(error.what(), "leasing a port: no free port");
  EXPECT_EQ(error.likely_cause(), "");
}

TEST(Error, CopiesWithItsText) {
  const tidewait::observe_error error{errc::cannot_look, "looking", "no /proc"};
  const std::system_error& sliced = error;
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
  const tidewait::observe_error copy = error;
  EXPECT_STREQ(copy.what(), error.what());
  EXPECT_STREQ(sliced.what(), error.what());
}

TEST(Error, OfEachKindHasAMessageOfItsOwn) {
  std::set<std::string> messages;
  for (int value = 1; value <= static_cast<int>(errc::untrusted_file); ++value) {
    messages.insert(make_error_code(static_cast<errc>(value)).message());
  }
  EXPECT_EQ(messages.size(), static_cast<std::size_t>(errc::untrusted_file));
  EXPECT_EQ(messages.count("unknown error"), 0U);
  EXPECT_EQ(make_error_code(static_cast<errc>(99)).message(), "unknown error");
  EXPECT_STREQ(make_error_code(errc::no_free_port).category().name(), "tidewait");
}

}  // namespace
