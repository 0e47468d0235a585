// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the next look has to tell beside what it sees.
class messages {
 public:
  /// Something that the user should know, told once for each `topic`.
  void note(std::string topic, std::string text) {
    if (first_time(std::move(topic))) add_note(std::move(text));
  }
  /// The same, told each time.
  void add_note(std::string text) {
    const std::lock_guard hold{mutex_};
    notes_.push_back(std::move(text));
  }
  /// Whether `topic` comes up for the first time in this program.
  bool first_time(std::string topic) {
    const std::lock_guard hold{mutex_};
    if (std::find(topics_.begin(), topics_.end(), topic) != topics_.end()) return false;
    topics_.push_back(std::move(topic));
    return true;
  }
  /// What went wrong beside the sockets, such as a server that had to be killed: it fails the test.
  void add_incident(std::string text) {
    const std::lock_guard hold{mutex_};
    incidents_.push_back(std::move(text));
  }

  /// What no look has told yet.
  std::vector<std::string> take_notes() {
    const std::lock_guard hold{mutex_};
    return std::exchange(notes_, {});
  }
  std::vector<std::string> take_incidents() {
    const std::lock_guard hold{mutex_};
    return std::exchange(incidents_, {});
  }

  /// In a child of fork(), with the mutex held: the incidents are the parent's.
  void forget() { incidents_.clear(); }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  std::mutex mutex_{};
  std::vector<std::string> topics_{};
  std::vector<std::string> notes_{};
  std::vector<std::string> incidents_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
