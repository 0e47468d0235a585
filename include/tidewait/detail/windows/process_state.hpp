// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

#include <tidewait/detail/meeting_point.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Publishes meeting points as mappings "Local\\tidewait-registry-PID-0", -1, …, which end with the
/// process.
struct named_mapping {
  /// The meeting point of that name and number; null if there is none.
  static meeting_point* find(std::string_view name, int number);

  template <typename Visit>
  static void for_each_meeting_point(std::string_view name, Visit visit) {
    int number = 0;
    while (meeting_point* const each = find(name, number++)) visit(*each);
  }

  /// A new meeting point; null if the system refuses one, and then other copies do not find this
  /// one.
  static meeting_point* publish(std::string_view name, const std::string& layout, void* state);

  template <typename Work>
  static void alone_in_process(Work work) {
    lock();
    work();
    unlock();
  }

 private:
  static void lock() noexcept;
  static void unlock() noexcept;
};

/// The one state of this process: see `meet_in_process`.
template <typename State>
State& find_process_state() {
  return meet_in_process<named_mapping, State>();
}

/// There is no fork().
inline void at_fork(void (*)(), void (*)(), void (*)()) noexcept {}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
