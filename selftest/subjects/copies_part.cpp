// SPDX-License-Identifier: BSL-1.0
#include "copies_part.hpp"

#include <optional>
#include <string>

#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

namespace {
std::optional<tidewait::port_lease>& leased() {
  static std::optional<tidewait::port_lease> port;
  return port;
}
std::optional<tidewait::watch>& watching() {
  static std::optional<tidewait::watch> watch;
  return watch;
}
}  // namespace

std::uint16_t part_lease() { return leased().emplace(tidewait::lease_port()).number(); }
void part_watch() { watching().emplace(tidewait::policy{}, "Part"); }
const char* part_look() {
  static std::string text;
  return (text = render(watching()->look())).c_str();
}
