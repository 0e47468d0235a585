// SPDX-License-Identifier: BSL-1.0
// [watch]
#include <iostream>

#include <tidewait/port_lease.hpp>
#include <tidewait/watch.hpp>

#include "echo_server.hpp"

int main() {
  tidewait::watch watch{{}, "greets"};
  {
    const tidewait::port_lease port = tidewait::lease_port();
    const echo_server server{port.number()};
    if (server.ask("hi") != "hi") return 1;
  }
  const tidewait::report found = watch.look();
  if (!found.clean()) std::cerr << render(found);
  return found.clean() ? 0 : 1;
}
// [watch]
