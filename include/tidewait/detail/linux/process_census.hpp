// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <tidewait/detail/linux/process_visit.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Visits the processes that hold many descriptors, from its construction on and in threads of its
/// own: to read a descriptor takes some microseconds, nearly all of them the kernel's. Where no
/// process holds many there is no thread.
class process_census {
 public:
  process_census() {
    for_each_name(AT_FDCWD, sys.proc, [&](int proc, const char* name) {
      struct stat info {};  // of the directory: how many descriptors there are (since Linux 6.2)
      const auto pid = parse_pid(name);
      if (!pid || ::fstatat(proc, (std::string{name} + "/fd").c_str(), &info, 0) != 0) return;
      constexpr off_t many = 1024;
      if (info.st_size < many) return;
      visits_.emplace_back();
      visits_.back().pid = *pid;
      visits_.back().whole = false;
    });
    try {
      const std::size_t most =
          std::min<std::size_t>(visits_.size(), std::thread::hardware_concurrency());
      while (helpers_.size() < most) helpers_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      // No thread or no memory for one: those that there are, and whoever asks, make the visits.
    }
  }
  process_census(const process_census&) = delete;
  process_census& operator=(const process_census&) = delete;
  ~process_census() { join(); }

  /// The visits, of whole processes and for all their sockets, by pid; what could not be visited is
  /// not whole.
  const std::vector<process_visit>& visits() {
    work();
    join();
    std::sort(visits_.begin(), visits_.end(),
              [](const process_visit& a, const process_visit& b) { return a.pid < b.pid; });
    return visits_;
  }

 private:
  void work() noexcept {
    for (std::size_t i = next_++; i < visits_.size(); i = next_++) {
      visits_[i] =
          visitor_.visit(visits_[i].pid, relation::other, [](std::uint32_t) { return true; });
    }
  }
  void join() {
    for (std::thread& helper : helpers_) {
      if (helper.joinable()) helper.join();
    }
  }

  process_visitor visitor_{};
  std::vector<process_visit> visits_{};
  std::atomic<std::size_t> next_{0};
  std::vector<std::thread> helpers_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
