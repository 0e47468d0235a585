// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <tidewait/version.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where the copies of tidewait in one process meet: a program, its libraries and its plugins may
/// each have one (-fvisibility=hidden, RTLD_LOCAL), and then a `static` is not one but several. The
/// first publishes its state as a mapping whose name all others know, which asks for no symbol.
/// The layout never changes: copies of all versions read it.
struct meeting_point {
  char layout[96];  ///< Who can use `state`; ends with 0.
  void* state;
  std::atomic<std::uint32_t> others;  ///< How many copies with another layout have come.
  char other[96];                     ///< The layout of one of them.
};
static_assert(std::is_trivially_destructible_v<meeting_point>);

/// What has to be the same for two copies to share a state. Count `layout_version` up when a member
/// of a shared state changes.
template <typename State>
std::string layout_of() {
  constexpr int layout_version = 7;
  constexpr int debug =
#ifdef _GLIBCXX_DEBUG
      1;
#else
      0;
#endif
  constexpr long library =
#ifdef _LIBCPP_VERSION
      _LIBCPP_VERSION;
#elif defined(_GLIBCXX_USE_CXX11_ABI)
      _GLIBCXX_USE_CXX11_ABI;
#else
          -1;
#endif
  return "tidewait " + std::to_string(version.major_part) + '.' +
         std::to_string(version.minor_part) + '.' + std::to_string(version.patch_part) +
         ", layout " + std::to_string(layout_version) + '-' + std::to_string(sizeof(State)) +
         ", C++ library " + std::to_string(library) + (debug != 0 ? " debug" : "");
}

inline void note_other(meeting_point& at, std::string_view layout) {
  if (at.others.fetch_add(1) != 0) return;
  layout.copy(at.other, sizeof at.other - 1);
}

/// A state that all copies of tidewait in this process share, if their layouts agree; never
/// destroyed. `State::name` names the mapping, and `State::met` gets the meeting point (or null).
/// `Backend` has for_each_meeting_point, publish and alone_in_process.
template <typename Backend, typename State>
State& meet_in_process() {
  auto made = std::make_unique<State>();
  State* found = nullptr;
  Backend::alone_in_process([&]() noexcept {
    try {
      const std::string layout = layout_of<State>();
      std::string stranger;
      Backend::for_each_meeting_point(State::name, [&](meeting_point& each) {
        if (layout == each.layout) {
          found = static_cast<State*>(each.state);
        } else {
          note_other(each, layout);
          stranger = each.layout;
        }
      });
      if (found != nullptr) return;
      made->met = Backend::publish(State::name, layout, made.get());
      if (made->met != nullptr && !stranger.empty()) note_other(*made->met, stranger);
    } catch (...) {
      // No memory: then this copy is alone.
    }
  });
  return found != nullptr ? *found : *made.release();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
