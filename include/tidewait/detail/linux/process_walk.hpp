// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A process that has not ended, as a walk found it.
struct living_process {
  unique_fd directory{};  ///< Of /proc: for `send_signal` and everything that is read of it.
  process_stat stat{};
  bool told = false;  ///< It has had the signal that asks it to end, by its process group.
};

/// A process by its number, also one that has ended and was not waited for. Nothing, and `error`
/// says why, if it is gone or could not be looked at, as for want of a descriptor.
inline std::optional<living_process> find_process(int pid, std::error_code& error) {
  living_process found;
  found.directory = open_process(pid);
  error = found.directory ? std::error_code{} : last_error();
  auto stat = found.directory ? read_process_stat(found.directory.get(), error) : std::nullopt;
  if (!stat) return std::nullopt;
  found.stat = std::move(*stat);
  return found;
}
/// The same; sets `unseen` if it may be there all the same.
inline std::optional<living_process> find_process(int pid, bool& unseen) {
  std::error_code error;
  std::optional<living_process> found = find_process(pid, error);
  unseen = unseen || (error && !is_out_of_sight(error));
  return found;
}

/// What a walk found out about a process.
enum class membership : std::uint8_t {
  stranger,   ///< None of those looked for, and never will be: later walks skip it.
  undecided,  ///< None as far as can be seen: the next walk looks again.
  member,
};

/// Walks through /proc again and again, such that no living process is missed, not even one of
/// those that fork and exit on and on: the kernel tells the newest pid that it gave (the last field
/// of /proc/loadavg). If that stays the same while all up to it are looked at, all were. Where
/// somebody starts processes without pause, many rounds in each of which only a few were new do as
/// well: to be missed, a process would have to end between being given its pid and being looked at,
/// some 20 us later, in each of them.
class process_walker {
 public:
  /// Skips this process.
  process_walker() { find_self(); }

  /// Whether /proc shows this process; reads it again if it could not be read before. Until it can
  /// be, a walk offers no process: it could not tell this one, or its children, from others.
  bool can_look() {
    if (self_.pid == 0) find_self();
    return self_.pid != 0;
  }
  /// This process, as /proc shows it.
  const process_stat& self() const noexcept { return self_; }
  /// How many pid namespaces of this /proc are around its own; 0 if it is this process's.
  std::size_t depth() const noexcept { return depth_; }

  /// Offers each living process to `examine(living_process&&)`, which returns a `membership`. One
  /// may be offered twice in a walk. Returns whether none was missed. What fails for one process,
  /// even for want of memory, does not keep the others from being looked at.
  template <typename Examine>
  bool walk(Examine&& examine) {
    if (!can_look()) return false;
    whole_ = true;
    std::optional<int> seen = newest();
    const bool can_ask = seen.has_value();
    const std::error_code unread = for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      const auto pid = parse_pid(name);
      if (!pid || *pid == self_.pid || look_at(*pid, examine) || can_ask) return;
      whole_ = false;  // it may have forked before it went
    });
    if (unread) return false;
    constexpr int most_rounds = 200;
    constexpr int most_new = 2000;
    constexpr int a_few = 3;
    constexpr int close_rounds_needed = 40;
    int close_rounds = 0;
    for (int round = 0; can_ask && round < most_rounds; ++round) {
      const std::optional<int> now = newest();
      if (now == seen) return whole_;
      if (!now || *now < *seen || *now - *seen > most_new) return false;  // the pids went round
      for (int pid = *seen + 1; pid <= *now; ++pid) {
        if (pid != self_.pid) look_at(pid, examine);
      }
      close_rounds += *now - *seen <= a_few ? 1 : 0;
      if (close_rounds == close_rounds_needed) return whole_;
      seen = now;
    }
    return whole_ && !can_ask;
  }

 private:
  void find_self() {
    const unique_fd self = open_process("self");
    auto stat = read_process_stat(self.get());
    const auto status = read_process_status(self.get());
    if (!stat || !status) return;
    self_ = std::move(*stat);
    depth_ = status->pids.empty() ? 0 : status->pids.size() - 1;
    // The newest pid is of the own pid namespace, and so no number in the /proc of an outer one.
    if (status->pids.size() == 1) {
      newest_ = unique_fd{sys.openat(AT_FDCWD, proc_path("loadavg").c_str(), O_RDONLY | O_CLOEXEC)};
    }
  }

  std::optional<int> newest() const {
    char text[128];
    const ssize_t got = newest_ ? ::pread(newest_.get(), text, sizeof text, 0) : -1;
    if (got <= 1) return std::nullopt;
    std::string_view line{text, static_cast<std::size_t>(got - 1)};
    return parse_pid(line.substr(line.rfind(' ') + 1));
  }

  /// False if there is no such process.
  template <typename Examine>
  bool look_at(int pid, Examine& examine) {
    try {
      bool unseen = false;
      std::optional<living_process> each = find_process(pid, unseen);
      if (unseen) whole_ = false;
      if (!each) return unseen;
      constexpr std::uint32_t kernel_thread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
      if (each->stat.ended() || (each->stat.flags & kernel_thread) != 0) return true;
      const std::pair id{each->stat.pid, each->stat.start};
      const auto place = std::lower_bound(strangers_.begin(), strangers_.end(), id);
      if (place != strangers_.end() && *place == id) return true;
      if (examine(std::move(*each)) == membership::stranger) strangers_.insert(place, id);
    } catch (const std::exception&) {
      whole_ = false;
    }
    return true;
  }

  process_stat self_{};
  std::size_t depth_ = 0;
  unique_fd newest_{};  // /proc/loadavg
  bool whole_ = true;
  std::vector<std::pair<int, std::uint64_t>> strangers_{};  // pid and start, sorted
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
