// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/version.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Where the copies of tidewait in one process meet: a program, its libraries and its plugins may
/// each have one (-fvisibility=hidden, RTLD_LOCAL), and then a `static` is not one but several. The
/// first publishes its state as a mapping whose name in /proc/self/maps all others know. That asks
/// for no symbol, outlives close_range(2), is inherited by fork(2) and ends at exec(2).
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
  constexpr int layout_version = 6;
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

/// Calls `visit(meeting_point&)` for each mapping of that name.
template <typename Visit>
void for_each_meeting_point(std::string_view name, Visit visit) {
  std::string maps;
  if (read_file(AT_FDCWD, proc_path("self/maps").c_str(), maps)) return;
  const std::string end = " /memfd:" + std::string{name} + " (deleted)";
  std::string_view rest = maps;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.size() < end.size() || line.substr(line.size() - end.size()) != end) continue;
    std::uintptr_t address = 0;
    std::from_chars(line.data(), line.data() + line.size(), address, 16);
    if (line.find(" rw-p ") == std::string_view::npos || address == 0) continue;
    visit(*reinterpret_cast<meeting_point*>(address));
  }
}

/// A new meeting point; null if the system refuses one, and then other copies do not find this one.
inline meeting_point* publish(const char* name, const std::string& layout, void* state) {
  const unique_fd memory{::memfd_create(name, MFD_CLOEXEC)};
  if (!memory || ::ftruncate(memory.get(), sizeof(meeting_point)) != 0) return nullptr;
  void* const place =
      ::mmap(nullptr, sizeof(meeting_point), PROT_READ | PROT_WRITE, MAP_PRIVATE, memory.get(), 0);
  if (place == MAP_FAILED) return nullptr;
  auto* const made = new (place) meeting_point{};
  layout.copy(made->layout, sizeof made->layout - 1);
  made->state = state;
  return made;
}

inline void note_other(meeting_point& at, std::string_view layout) {
  if (at.others.fetch_add(1) != 0) return;
  layout.copy(at.other, sizeof at.other - 1);
}

/// Runs `work` while no other copy of tidewait in this process does: in the one lock that all
/// libraries of a process have in common, the dynamic loader's (dl_iterate_phdr(3)).
template <typename Work>
void alone_in_process(Work work) {
  ::dl_iterate_phdr(
      [](dl_phdr_info*, std::size_t, void* argument) {
        (*static_cast<Work*>(argument))();
        return 1;
      },
      &work);
}

/// A state that all copies of tidewait in this process share, if their layouts agree; never
/// destroyed. `State::name` names the mapping, and `State::met` gets the meeting point (or null).
template <typename State>
State& find_process_state() {
  auto made = std::make_unique<State>();
  State* found = nullptr;
  alone_in_process([&]() noexcept {
    try {
      const std::string layout = layout_of<State>();
      std::string stranger;
      for_each_meeting_point(State::name, [&](meeting_point& each) {
        if (layout == each.layout) {
          found = static_cast<State*>(each.state);
        } else {
          note_other(each, layout);
          stranger = each.layout;
        }
      });
      if (found != nullptr) return;
      made->met = publish(State::name, layout, made.get());
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
