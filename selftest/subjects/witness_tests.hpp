// SPDX-License-Identifier: BSL-1.0
#pragma once

// One file of tests for three programs: GoogleTest with nothing but the link of gtest_auto, Catch2
// with that of catch2_auto, and GoogleTest with tidewait's fixture.
#if defined(WITNESS_CATCH2)
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif
#define WITNESS_TEST(name) TEST_CASE(#name)
#define WITNESS_CHECK(what) CHECK(what)
#define WITNESS_PROGRAM(begin, end)                            \
  int main(int count, char** arguments) {                      \
    begin;                                                     \
    const int status = Catch::Session{}.run(count, arguments); \
    end;                                                       \
    return status;                                             \
  }
#else
#include <gtest/gtest.h>
#if defined(WITNESS_FIXTURE)
#include <tidewait/gtest.hpp>
class Served : public tidewait::gtest::fixture {};
#define WITNESS_TEST(name) TEST_F(Served, name)
#else
#define WITNESS_TEST(name) TEST(Served, name)
#endif
#define WITNESS_CHECK(what) EXPECT_TRUE(what)
#define WITNESS_PROGRAM(begin, end)             \
  int main(int count, char** arguments) {       \
    testing::InitGoogleTest(&count, arguments); \
    begin;                                      \
    const int status = RUN_ALL_TESTS();         \
    end;                                        \
    return status;                              \
  }
#endif
