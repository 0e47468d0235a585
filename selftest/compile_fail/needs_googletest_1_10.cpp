// expect: tidewait needs GoogleTest 1.10 or later
// lines: 12
// SPDX-License-Identifier: BSL-1.0
#ifdef TWIN
#include <gtest/gtest.h>
#else
// As if an older one had been included, which has no INSTANTIATE_TEST_SUITE_P.
#define GTEST_INCLUDE_GTEST_GTEST_H_
#define GOOGLETEST_INCLUDE_GTEST_GTEST_H_
#include <tidewait/gtest.hpp>
#endif
