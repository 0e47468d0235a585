// expect: probe_bind.*probe_port.*explain_bind.*explain_port.*current.*look\(.*watch\{
// SPDX-License-Identifier: BSL-1.0
#include <tidewait/tidewait.hpp>

#ifdef TWIN
#define KEEP [[maybe_unused]] const auto& kept =
#else
#define KEEP  // each line below discards what is worthless unless it is kept
#endif

void keep(const tidewait::bind_request& request) {
  { KEEP tidewait::probe_bind(request); }
  { KEEP tidewait::probe_port(request.protocol, 80); }
  { KEEP tidewait::explain_bind(request); }
  { KEEP tidewait::explain_port(request.protocol, 80); }
  { KEEP tidewait::socket_table::current(); }
  tidewait::watch watch;
  { KEEP watch.look(); }
  { KEEP tidewait::watch{}; }
}
