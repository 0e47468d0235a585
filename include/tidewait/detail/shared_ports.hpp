// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/diagnosis.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A socket that got its port though another program serves on it, through SO_REUSEPORT or, of UDP,
/// SO_REUSEADDR.
struct shared_port {
  bind_record record;
  observed_socket socket;  ///< The one of the record.
  explanation why;
};

/// Those that no look has told yet.
class shared_ports {
 public:
  /// Whether to look once more: a pool of workers may open thousands on one port.
  bool may_look() {
    constexpr std::size_t most = 32;  // in one test
    const std::lock_guard hold{mutex_};
    return looks_ < most && ++looks_ != 0;
  }
  void add(shared_port found) {
    const std::lock_guard hold{mutex_};
    for (const shared_port& each : ports_) {
      if (each.socket.local == found.socket.local && each.why.why == found.why.why) return;
    }
    ports_.push_back(std::move(found));
  }

  std::vector<shared_port> take() {
    const std::lock_guard hold{mutex_};
    looks_ = 0;
    return std::exchange(ports_, {});
  }

  /// In a child of fork(), with the mutex held.
  void forget() { ports_.clear(); }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  std::mutex mutex_{};
  std::vector<shared_port> ports_{};
  std::size_t looks_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
