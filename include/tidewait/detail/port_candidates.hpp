// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include <tidewait/bind.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What a port is good for as a lease; values of a bit mask.
enum port_tier : unsigned {
  never_leased = 0,  ///< Privileged or reserved.
  quiet = 1,         ///< Outside the ephemeral range, from 10000 on.
  well_known = 2,    ///< Outside the ephemeral range, below 10000, where known servers live.
  ephemeral = 4,     ///< An outgoing connection or a bind(0) may take it at any moment.
};

inline port_tier tier_of(std::uint32_t number, const port_rules& rules) noexcept {
  constexpr std::uint32_t well_known_servers_end = 10000;
  const auto port = static_cast<std::uint16_t>(number);
  if (number < 1024 || number < rules.unprivileged_start || number > 65535) return never_leased;
  if (rules.is_reserved(port)) return never_leased;
  if (rules.ephemeral.contains(port)) return ephemeral;
  return number < well_known_servers_end ? well_known : quiet;
}

/// A way through the ports of some tiers: each once, then from the front again, so that what was
/// leased last comes last again. Steps that are wide and differ from process to process keep one
/// process from walking along what another has leased.
class port_route {
 public:
  static constexpr std::uint32_t first = 1024;
  static constexpr std::uint32_t count = 65536 - first;

  /// The start and the steps come from `random`; steps of 1 for ports in a row.
  port_route(unsigned tiers, std::uint64_t random, bool in_a_row)
      : tiers_{tiers}, at_{static_cast<std::uint32_t>(random % count)} {
    if (in_a_row) return;
    step_ = count / 4 + static_cast<std::uint32_t>((random >> 32U) % (count / 2));
    while (std::gcd(step_, count) != 1) ++step_;
  }

  /// The next port; nothing when `left`, the numbers left to try of one turn, is used up.
  std::optional<std::uint16_t> next(const port_rules& rules, std::uint32_t& left) noexcept {
    while (left != 0) {
      --left;
      const std::uint32_t number = first + at_;
      at_ = (at_ + step_) % count;
      if ((tier_of(number, rules) & tiers_) != 0) return static_cast<std::uint16_t>(number);
    }
    return std::nullopt;
  }

 private:
  unsigned tiers_;
  std::uint32_t at_;
  std::uint32_t step_ = 1;
};

enum class lease_shape : std::uint8_t { scattered, contiguous };

/// The ports from which leases are taken, best first.
struct port_candidates {
  port_rules rules{};
  /// There is no port outside the ephemeral range, so leases lie in it and have to be held.
  bool inside_ephemeral = false;
  std::vector<port_route> scattered{};   ///< Each is tried whole before the next.
  std::vector<port_route> contiguous{};  ///< A single one: a row does not end where a tier does.

  port_candidates() = default;
  port_candidates(port_rules read, std::uint64_t random) : rules{std::move(read)} {
    const unsigned outside = (has(quiet) ? quiet : 0U) | (has(well_known) ? well_known : 0U);
    inside_ephemeral = outside == 0 && has(ephemeral);
    for (const unsigned tier : {quiet, well_known, ephemeral}) {
      const bool leased = inside_ephemeral ? tier == ephemeral : (outside & tier) != 0;
      if (leased) scattered.emplace_back(tier, random, false);
    }
    contiguous.emplace_back(inside_ephemeral ? ephemeral : outside, random, true);
  }

  /// How many ports of these tiers are left out as ip_local_reserved_ports.
  std::size_t reserved() const {
    port_rules without = rules;
    without.reserved.clear();
    std::size_t ports = 0;
    for (std::uint32_t number = port_route::first; number <= 65535; ++number) {
      const bool candidate = (tier_of(number, without) == ephemeral) == inside_ephemeral &&
                             tier_of(number, without) != never_leased;
      if (candidate && rules.is_reserved(static_cast<std::uint16_t>(number))) ++ports;
    }
    return ports;
  }

 private:
  /// Whether a tier has a port; looks from the top, where the best ones are, or for the well-known
  /// ones from the bottom.
  bool has(port_tier tier) const noexcept {
    for (std::uint32_t i = 0; i < port_route::count; ++i) {
      if (tier_of(tier == well_known ? port_route::first + i : 65535 - i, rules) == tier)
        return true;
    }
    return false;
  }
};

/// One turn through all candidates.
class candidate_turn {
 public:
  candidate_turn(port_candidates& candidates, lease_shape shape) noexcept
      : rules_{candidates.rules},
        routes_{shape == lease_shape::contiguous ? candidates.contiguous : candidates.scattered} {}

  std::optional<std::uint16_t> next() noexcept {
    for (; route_ < routes_.size(); ++route_, left_ = port_route::count) {
      if (const auto port = routes_[route_].next(rules_, left_)) return port;
    }
    return std::nullopt;
  }

 private:
  const port_rules& rules_;
  std::vector<port_route>& routes_;
  std::size_t route_ = 0;
  std::uint32_t left_ = port_route::count;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
