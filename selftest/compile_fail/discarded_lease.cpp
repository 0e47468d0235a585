// expect: lease_port\(\).*lease_ports\(.*lease_block\(
// SPDX-License-Identifier: BSL-1.0
#include <tidewait/tidewait.hpp>

#ifdef TWIN
#define KEEP [[maybe_unused]] const auto& kept =
#else
#define KEEP  // each line below discards what is worthless unless it is kept
#endif

void keep() {
  { KEEP tidewait::lease_port(); }
  { KEEP tidewait::lease_ports(2); }
  { KEEP tidewait::lease_block(2); }
}
