// expect: deleted function.*number
// SPDX-License-Identifier: BSL-1.0
#include <tidewait/port_lease.hpp>

int main() {
#ifdef TWIN
  const tidewait::port_lease lease = tidewait::lease_port();
  return lease.number();
#else
  return tidewait::lease_port().number();  // the lease would be over before the number is used
#endif
}
