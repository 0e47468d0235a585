// SPDX-License-Identifier: BSL-1.0
#include <gtest/gtest.h>

#include <tidewait/source_location.hpp>

namespace {

using tidewait::source_location;

source_location called_from(source_location where = source_location::current()) { return where; }

TEST(SourceLocation, CurrentNamesTheLineWhereItStands) {
  const auto here = source_location::current();
  EXPECT_STREQ(here.file, __FILE__);
  EXPECT_EQ(here.line, static_cast<unsigned>(__LINE__) - 2);
}

TEST(SourceLocation, AsADefaultArgumentNamesTheCaller) {
  const auto here = called_from();
  EXPECT_STREQ(here.file, __FILE__);
  EXPECT_EQ(here.line, static_cast<unsigned>(__LINE__) - 2);
}

TEST(SourceLocation, IsUnknownUntilItIsSet) {
  constexpr source_location nowhere;
  EXPECT_STREQ(nowhere.file, "");
  EXPECT_EQ(nowhere.line, 0U);
}

}  // namespace
