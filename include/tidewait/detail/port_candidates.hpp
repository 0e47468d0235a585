// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tidewait/port_rules.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The ports from which leases are taken, best first.
struct port_candidates {
  /// Each tier is tried whole before the next: unprivileged ports outside the ephemeral range from
  /// 10000 on; those below, where well-known servers live; and, only if there is no port outside
  /// the ephemeral range, the range itself, where a lease has to be held.
  std::vector<std::vector<std::uint16_t>> tiers;
  bool inside_ephemeral = false;
  std::size_t reserved = 0;  ///< How many were left out as ip_local_reserved_ports.
};

inline port_candidates candidates_under(const port_rules& rules) {
  port_candidates all;
  std::vector<std::uint16_t> high;
  std::vector<std::uint16_t> low;
  std::vector<std::uint16_t> ephemeral;
  constexpr std::uint16_t well_known_servers_end = 10000;
  const std::uint16_t start = std::max<std::uint16_t>(rules.unprivileged_start, 1024);
  for (std::uint32_t number = start; number <= 65535; ++number) {
    const auto port = static_cast<std::uint16_t>(number);
    if (rules.is_reserved(port)) {
      ++all.reserved;
    } else if (rules.ephemeral.contains(port)) {
      ephemeral.push_back(port);
    } else {
      (port < well_known_servers_end ? low : high).push_back(port);
    }
  }
  all.inside_ephemeral = high.empty() && low.empty();
  all.tiers = all.inside_ephemeral
                  ? std::vector<std::vector<std::uint16_t>>{std::move(ephemeral)}
                  : std::vector<std::vector<std::uint16_t>>{std::move(high), std::move(low)};
  return all;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
