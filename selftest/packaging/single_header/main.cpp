// SPDX-License-Identifier: BSL-1.0
// [watch]
#include <iostream>

#include "server.hpp"  // yours; it includes "tidewait.hpp"

int main(int argc, char**) {
  tidewait::watch watch{{}, "test"};
  const tidewait::port_lease port = tidewait::lease_port();
  const server started{port};
  if (argc == 1) started.stop();
  const tidewait::report found = watch.look();
  std::cout << render(found);
  return found.clean() ? 0 : 1;
}
// [watch]
