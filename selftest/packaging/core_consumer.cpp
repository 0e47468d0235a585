// SPDX-License-Identifier: BSL-1.0
#include <tidewait/tidewait.hpp>

int main() {
  const tidewait::port_lease port = tidewait::lease_port();
  return port.number() == 0 ? 1 : 0;
}
