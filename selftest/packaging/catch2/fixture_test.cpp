// SPDX-License-Identifier: BSL-1.0
#include <tidewait/catch2.hpp>

TEST_CASE_METHOD(tidewait::catch2::fixture, "a leased port is free") {
  const tidewait::port_lease port = lease_port();
  CHECK(tidewait::catch2::is_free(port));
}
