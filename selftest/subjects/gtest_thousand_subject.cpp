// SPDX-License-Identifier: BSL-1.0
//
// A thousand tests that each leave a listener, or, with FAIL_PLAINLY, fail without tidewait.

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include <gtest/gtest.h>

#include "../support/sockets.hpp"

namespace {

class Each : public testing::TestWithParam<int> {
 protected:
  /// Closes what the test before has left, lest there are not enough descriptors.
  void SetUp() override {
    if (left >= 0) ::close(std::exchange(left, -1));
  }
  static inline int left = -1;
};

TEST_P(Each, LeavesAListener) {
  if (std::getenv("FAIL_PLAINLY") != nullptr) FAIL();
  left = sockets::listen_on(0);
}

INSTANTIATE_TEST_SUITE_P(OfMany, Each, testing::Range(0, 1000));

}  // namespace
