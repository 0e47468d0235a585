// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The binds that have failed and that no look has told yet.
class failed_binds {
 public:
  /// Counts one. True if it is the first to this endpoint: then it is to be explained.
  bool count(const bind_record& record) {
    const std::lock_guard hold{mutex_};
    for (failed_bind& each : binds_) {
      if (!is_same(each.record, record)) continue;
      ++each.times;
      return false;
    }
    // A search for a free port may try thousands.
    constexpr std::size_t most = 32;
    if (binds_.size() >= most) return false;
    binds_.emplace_back();
    binds_.back().record = record;
    return true;
  }
  void explain(const bind_record& record, diagnosis why, const visibility& seen) {
    const std::lock_guard hold{mutex_};
    for (failed_bind& each : binds_) {
      if (!is_same(each.record, record)) continue;
      each.why = std::move(why);
      each.seen = seen;
    }
  }

  std::vector<failed_bind> take() {
    const std::lock_guard hold{mutex_};
    return std::exchange(binds_, {});
  }

  /// In a child of fork(), with the mutex held.
  void forget() { binds_.clear(); }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  static bool is_same(const bind_record& a, const bind_record& b) noexcept {
    return a.kind == b.kind && a.asked == b.asked && a.path == b.path && a.error == b.error;
  }

  std::mutex mutex_{};
  std::vector<failed_bind> binds_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
