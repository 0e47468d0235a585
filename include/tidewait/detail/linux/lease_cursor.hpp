// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>

#include <vector>

#include <tidewait/detail/linux/port_range.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/port_candidates.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where the next search starts. Drawn at random in each process, and in each fork anew, then
/// moving on: what was leased last comes last again.
struct lease_cursor {
  port_candidates candidates;
  bool autobind_reuse = false;
  std::uint64_t net_namespace = 0;
  int pid = 0;
  std::vector<std::size_t> next;  ///< Per tier.

  /// Reads the rules again if the namespace is another than last time, or on request.
  void refresh(std::uint64_t current_namespace, bool again) {
    const int self = ::getpid();
    if (pid == self && net_namespace == current_namespace && !again) return;
    const port_rules rules = read_port_rules();
    candidates = candidates_under(rules);
    autobind_reuse = rules.autobind_reuse;
    net_namespace = current_namespace;
    pid = self;
    next.clear();
    for (const auto& tier : candidates.tiers) {
      next.push_back(tier.empty() ? 0 : entropy() % tier.size());
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
