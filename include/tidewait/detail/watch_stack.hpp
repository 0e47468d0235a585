// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The watches of this process that have begun and have not ended.
class watch_stack {
 public:
  /// A watch over a test begins on the calling thread; returns its number.
  /// `binds_from`: where the log of witnessed binds ended.
  std::uint64_t begin(std::string_view test, std::uint64_t binds_from = 0) {
    const std::lock_guard hold{mutex_};
    // As the journal has it.
    watches_.push_back({++last_, this_thread(), sanitised(test), binds_from});
    return last_;
  }
  void end(std::uint64_t number) {
    const std::lock_guard hold{mutex_};
    watches_.erase(std::remove_if(watches_.begin(), watches_.end(),
                                  [&](const auto& each) { return each.number == number; }),
                   watches_.end());
  }

  bool empty() const {
    const std::lock_guard hold{mutex_};
    return watches_.empty();
  }
  /// Whether a watch is active on another thread: then what this process holds may be that one's.
  bool any_on_other_thread() const {
    const std::lock_guard hold{mutex_};
    return std::any_of(watches_.begin(), watches_.end(),
                       [](const auto& each) { return each.thread != this_thread(); });
  }
  /// The test of the calling thread's innermost watch; empty if there is none.
  std::string current_test() const {
    const std::lock_guard hold{mutex_};
    const auto innermost = std::find_if(watches_.rbegin(), watches_.rend(), [](const auto& each) {
      return each.thread == this_thread();
    });
    return innermost == watches_.rend() ? std::string{} : innermost->test;
  }
  /// Where the log of witnessed binds ended when that watch began; nothing if there is none.
  std::optional<std::uint64_t> binds_from() const {
    const std::lock_guard hold{mutex_};
    const auto innermost = std::find_if(watches_.rbegin(), watches_.rend(), [](const auto& each) {
      return each.thread == this_thread();
    });
    return innermost == watches_.rend() ? std::nullopt : std::optional{innermost->binds_from};
  }
  /// Whether a watch over this test is active, on whatever thread.
  bool has(const std::string& test) const {
    const std::lock_guard hold{mutex_};
    return std::any_of(watches_.begin(), watches_.end(),
                       [&](const auto& each) { return each.test == test; });
  }

  /// In a child of fork(), with the mutex held: the watches are the parent's.
  void forget() { watches_.clear(); }
  std::mutex& mutex() const noexcept { return mutex_; }  ///< For a fork.

 private:
  struct active_watch {
    std::uint64_t number = 0;
    const void* thread = nullptr;
    std::string test;
    std::uint64_t binds_from = 0;
  };

  mutable std::mutex mutex_{};
  std::vector<active_watch> watches_{};
  std::uint64_t last_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
