// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/linux/withheld_signal.hpp>
#include <tidewait/detail/meeting_point.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Publishes a meeting point as a memfd that is mapped: /proc/self/maps shows its name. It
/// outlives close_range(2), is inherited by fork(2) and ends at exec(2).
struct mapped_memfd {
  /// Calls `visit(meeting_point&)` for each mapping of that name.
  template <typename Visit>
  static void for_each_meeting_point(std::string_view name, Visit visit) {
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

  /// A new meeting point; null if the system refuses one, and then other copies do not find this
  /// one.
  static meeting_point* publish(const char* name, const std::string& layout, void* state) {
    const unique_fd memory{::memfd_create(name, MFD_CLOEXEC)};
    const withheld_signal too_large{SIGXFSZ};
    if (!memory || ::ftruncate(memory.get(), sizeof(meeting_point)) != 0) {
      if (memory && errno == EFBIG) too_large.take();
      return nullptr;
    }
    void* const place = ::mmap(nullptr, sizeof(meeting_point), PROT_READ | PROT_WRITE, MAP_PRIVATE,
                               memory.get(), 0);
    if (place == MAP_FAILED) return nullptr;
    auto* const made = new (place) meeting_point{};
    layout.copy(made->layout, sizeof made->layout - 1);
    made->state = state;
    return made;
  }

  /// Runs `work` while no other copy of tidewait in this process does: in the one lock that all
  /// libraries of a process have in common, the dynamic loader's (dl_iterate_phdr(3)).
  template <typename Work>
  static void alone_in_process(Work work) {
    ::dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* argument) {
          (*static_cast<Work*>(argument))();
          return 1;
        },
        &work);
  }
};

/// The one state of this process: see `meet_in_process`.
template <typename State>
State& find_process_state() {
  return meet_in_process<mapped_memfd, State>();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
