// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait::command {

/// Looks at the listeners of this network namespace now and then while a command runs: a TIME_WAIT
/// has no owner, but on a port where the command's process tree has listened it is the tree's. And
/// if two processes share a port through SO_REUSEPORT, no bind fails and nothing else shows it.
///
/// A sample takes some 30 µs, more if there are new listeners. What lives only between two samples
/// is missed; the first follow each other closely.
class listener_sampler {
 public:
  /// `test` is what the command is called; `everything_is_ours`: it has a network namespace of its
  /// own.
  listener_sampler(std::string test, bool everything_is_ours)
      : test_{std::move(test)}, everything_is_ours_{everything_is_ours} {}

  /// Looks, notes the listeners of this process tree (`write_journal`,
  /// `sightings::note_own_listener`), and returns how long to wait for the next: at least 20 times
  /// what this one took.
  std::chrono::microseconds sample();

  /// Listeners (of UDP: servers' sockets) that stood beside one of ours on the same endpoint and
  /// were not ours, each followed by ours; one pair for each endpoint.
  const std::vector<std::vector<observed_socket>>& shared() const noexcept { return shared_; }

 private:
  struct known_listener {
    std::uint64_t identity = 0;
    observed_socket socket;
    int searches = 0;  ///< How often its holder was looked for in the tree.
    bool ours = false;
    bool told = false;
  };

  bool update(std::vector<observed_socket> now);
  void search(std::vector<known_listener*> unknown);
  void find_shared();

  port_rules rules_ = detail::read_port_rules();
  std::string test_;
  bool everything_is_ours_;
  std::vector<known_listener> listeners_;
  std::vector<std::vector<observed_socket>> shared_;
  std::chrono::microseconds pause_{1000};
};

}  // namespace tidewait::command
