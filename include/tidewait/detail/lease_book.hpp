// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <array>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/ended_lease.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline bool same_port(const lease_note& a, const lease_note& b) noexcept {
  return a.port == b.port && a.kind == b.kind && a.net_namespace == b.net_namespace;
}

/// A lease that goes on, and the descriptors that its `port_lease` owns.
struct live_lease {
  lease_note note;
  std::array<descriptor_mark, 2> locks;  ///< Of TCP and of UDP.
  descriptor_mark hold;
  port_locks renewed;    ///< In the place of those that the program closed.
  bool doubted = false;  ///< It was told that a lock could not be taken again.
};

/// What the program under test has closed of the leases, by `lease_book::renew`.
struct lost_descriptors {
  std::vector<lease_note> locks_renewed{};  ///< Closed, and taken again.
  std::vector<lease_note> locks_gone{};     ///< Closed, and somebody else has the lock now.
  std::vector<lease_note> holds{};          ///< The port itself is held no more.
};

inline std::string lease_in_words(const lease_note& lease) {
  return "port " + std::to_string(lease.port) + ", leased at " + to_text(lease.where);
}
inline constexpr const char* who_closes_locks =
    "the test closed descriptors that it did not open (close_range, closefrom or a loop); "
    "restrict it to its own, or run it in a child process";

inline std::string lock_renewed(const lease_note& lease) {
  return "the lock of " + lease_in_words(lease) +
         ", was closed and has been taken again; in between another test could lease the port: " +
         who_closes_locks;
}
inline std::string hold_lost(const lease_note& lease) {
  return "the hold of " + lease_in_words(lease) +
         ", was closed: any process can take the port now; " + who_closes_locks;
}
/// An incident: its first line is complete alone.
inline std::string lock_gone(const lease_note& lease) {
  return "the lock of " + lease_in_words(lease) +
         ", was closed, and it cannot be taken again\n"
         "why: another process may have leased the port, so two tests may use it at once\n"
         "fix: " +
         who_closes_locks;
}

/// The leases of this process: those that go on, and those that ended on a port that was not free.
class lease_book {
 public:
  void begin(lease_note lease, const port_locks& locks) {
    const std::lock_guard guard{mutex_};
    // The name of the file may be in a library that is unloaded before the lease is judged.
    lease.where.file = files_.insert(lease.where.file).first->c_str();
    live_.push_back({lease, {locks[0].mark(), locks[1].mark()}, {}, {}, false});
  }

  /// The port itself is held now, or no more.
  void set_hold(const lease_note& lease, const descriptor_mark& hold) {
    const std::lock_guard guard{mutex_};
    const auto found = find(lease);
    if (found != live_.end()) found->hold = hold;
  }

  /// A lease has ended; its locks are kept while its port is not `clean`.
  void end(const lease_note& lease, port_locks locks, bool clean) {
    const std::lock_guard guard{mutex_};
    const auto found = find(lease);
    ended_lease ended{lease, std::move(locks), false};
    if (found != live_.end()) {
      ended.note = found->note;
      for (std::size_t i = 0; i < ended.locks.size(); ++i) {
        if (found->renewed[i]) ended.locks[i] = std::move(found->renewed[i]);
      }
      live_.erase(found);
    }
    if (clean) return;
    if (ended_.size() >= most_locks_kept) drop_oldest_locks();
    ended_.push_back(std::move(ended));
  }

  /// Those whose ports a look has to probe: the live ones, and the ended ones that no look judged.
  std::vector<lease_note> to_judge() const {
    const std::lock_guard guard{mutex_};
    std::vector<lease_note> all;
    for (const live_lease& each : live_) all.push_back(each.note);
    for (const ended_lease& each : ended_) {
      if (!each.judged) all.push_back(each.note);
    }
    return all;
  }

  /// A look has judged these: the clean ones lose their locks, the others are not judged again.
  void judged(const std::vector<lease_note>& clean, const std::vector<lease_note>& reported) {
    const auto among = [](const std::vector<lease_note>& list, const ended_lease& lease) {
      return std::any_of(list.begin(), list.end(),
                         [&](const lease_note& each) { return same_port(each, lease.note); });
    };
    const std::lock_guard guard{mutex_};
    for (ended_lease& each : ended_) each.judged = each.judged || among(reported, each);
    ended_.erase(std::remove_if(ended_.begin(), ended_.end(),
                                [&](const ended_lease& each) { return among(clean, each); }),
                 ended_.end());
  }

  /// Gives back ports of ended leases that have become clean; looks at the `most` that have waited
  /// longest since the last time.
  void reclaim(std::size_t most) {
    const std::lock_guard guard{mutex_};
    for (std::size_t left = std::min(most, ended_.size()); left != 0; --left) {
      if (!port_is_clean(ended_.front().note)) ended_.push_back(std::move(ended_.front()));
      ended_.erase(ended_.begin());
    }
  }

  /// Takes the locks again that the program under test has closed, and says whose they were; each
  /// loss once. The locks of another network namespace than the calling thread's are left alone.
  lost_descriptors renew() {
    const std::lock_guard guard{mutex_};
    lost_descriptors lost;
    for (live_lease& each : live_) {
      if (each.hold.lost()) {
        each.hold = {};
        lost.holds.push_back(each.note);
      }
      bool renewed = false;
      bool gone = false;
      for (const protocol which : {protocol::tcp, protocol::udp}) {
        const std::size_t i = which == protocol::tcp ? 0 : 1;
        const bool held = each.renewed[i] ? !each.renewed[i].lost() : !each.locks[i].lost();
        if (held || !includes(each.note.kind, which)) continue;
        if (each.note.net_namespace != current_net_namespace()) continue;
        kept_fd lock;
        const bool taken = !lock_port(which, each.note.port, lock);
        // A child that has inherited it keeps it for us.
        const bool kept = !taken && lock_holder(which, each.note.port).value_or(0) == process_id();
        if (taken) each.renewed[i] = std::move(lock);
        renewed = renewed || taken;
        gone = gone || (!taken && !kept);
      }
      if (gone && !std::exchange(each.doubted, true)) lost.locks_gone.push_back(each.note);
      if (renewed && !gone) lost.locks_renewed.push_back(each.note);
    }
    for (ended_lease& each : ended_) {
      for (const protocol which : {protocol::tcp, protocol::udp}) {
        kept_fd& lock = each.locks[which == protocol::tcp ? 0 : 1];
        if (!lock.lost() || each.note.net_namespace != current_net_namespace()) continue;
        kept_fd again;
        lock.reset();
        if (!lock_port(which, each.note.port, again)) lock = std::move(again);
      }
    }
    return lost;
  }

  /// The locks that were taken again for a lease.
  std::vector<native_handle> renewed_locks(const lease_note& lease) const {
    const std::lock_guard guard{mutex_};
    std::vector<native_handle> descriptors;
    for (const live_lease& each : live_) {
      if (!same_port(each.note, lease)) continue;
      for (const kept_fd& lock : each.renewed) {
        if (lock && !lock.lost()) descriptors.push_back(lock.get());
      }
    }
    return descriptors;
  }

  /// In a child of fork(), with the mutex held: the leases are the parent's, who still has the
  /// locks.
  void forget() {
    live_.clear();
    ended_.clear();
  }
  std::mutex& mutex() const noexcept { return mutex_; }  ///< For a fork.

 private:
  std::vector<live_lease>::iterator find(const lease_note& lease) {
    return std::find_if(live_.begin(), live_.end(),
                        [&](const live_lease& each) { return same_port(each.note, lease); });
  }

  /// A lock costs a descriptor, which the test may need more: while its port is not free nobody
  /// leases it anyway.
  static constexpr std::size_t most_locks_kept = 256;
  void drop_oldest_locks() noexcept {
    for (ended_lease& each : ended_) {
      if (!each.locks[0] && !each.locks[1]) continue;
      each.locks = {};
      return;
    }
  }

  mutable std::mutex mutex_{};
  std::vector<live_lease> live_{};
  std::vector<ended_lease> ended_{};
  std::set<std::string> files_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
