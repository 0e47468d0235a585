// SPDX-License-Identifier: BSL-1.0
#include <tidewait/gtest.hpp>

class Net : public tidewait::gtest::fixture {};

TEST_F(Net, HasAFreePort) {
  const tidewait::port_lease port = lease_port();
  EXPECT_TRUE(tidewait::gtest::is_free(port));
}
