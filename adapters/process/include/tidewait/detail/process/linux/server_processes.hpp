// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/terminate.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

/// How the processes of one server are told from all others.
struct server_mark {
  int leader = 0;                ///< The process that was started, leader of its group.
  bool leader_is_known = false;  ///< It has not been waited for, so its pid and group are its own.
  std::uint64_t since = 0;       ///< When it started; none of its processes is older.
  std::string id{};              ///< In TIDEWAIT_RUN, which what is exec'd inherits.
  std::string memfd{};           ///< Name of an inherited file: it survives a changed environment.
  std::uint64_t inode = 0;       ///< Of that file; nobody can forge it. 0: not known.
};

inline int pid_of(const living_process& process) { return process.stat.pid; }

/// The file of that name which a process holds: its inode; nothing if it holds none.
inline std::optional<std::uint64_t> inode_of_memfd(int process, const std::string& name) {
  const std::string wanted = "/memfd:" + name + ' ';  // "… (deleted)"
  std::optional<std::uint64_t> inode;
  const unique_fd thread = open_live_thread(process);
  for_each_name(thread ? thread.get() : process, "fd", [&](int fds, const char* fd) {
    char link[128];
    const ssize_t length = sys.readlinkat(fds, fd, link, sizeof link);
    struct stat info {};
    if (length > 0 &&
        std::string_view{link, static_cast<std::size_t>(length)}.substr(0, wanted.size()) ==
            wanted &&
        ::fstatat(fds, fd, &info, 0) == 0) {
      inode = info.st_ino;
    }
    return !inode;
  });
  return inode;
}

/// Whether the process carries the mark, however far it has gone. A mark that another user's
/// process wears says nothing, except for the inherited file itself: a server may give up its
/// rights.
inline bool carries_mark(int process, const server_mark& mark) {
  std::string environment;
  const std::error_code unseen = read_environment(process, environment);
  if (environment_has_mark(environment, mark.id) && is_of_own_user(process)) return true;
  // It has the mark of another run or server: to go through its files would be in vain.
  const bool whole = !unseen && !environment.empty();
  if (whole && !variable_in(environment, run_variable).empty() &&
      !environment_has_mark(environment, mark.id)) {
    return false;
  }
  const auto inode = inode_of_memfd(process, mark.memfd);
  return inode && (inode == mark.inode || is_of_own_user(process));
}

/// Finds the living processes of a server: those of its group, those that carry its mark, and
/// whatever these have as children.
class server_search {
 public:
  explicit server_search(server_mark mark) : mark_{std::move(mark)} {}
  bool can_look() { return walker_.can_look(); }

  /// Offers each to `found(living_process&&)`; `told` is set of those that are in the group.
  /// Returns whether none was missed.
  template <typename Found>
  bool walk(Found&& found) {
    std::vector<int> pids;
    std::vector<living_process> others;
    const auto has_parent = [&](const living_process& each) {
      return std::find(pids.begin(), pids.end(), each.stat.parent) != pids.end();
    };
    const auto take = [&](living_process&& each) {
      if (std::find(pids.begin(), pids.end(), each.stat.pid) != pids.end()) return;
      pids.push_back(each.stat.pid);
      found(std::move(each));
    };
    const bool whole = walker_.walk([&](living_process&& each) {
      if (each.stat.start < mark_.since) return membership::stranger;
      each.told = mark_.leader_is_known && walker_.depth() == 0 &&
                  (each.stat.pid == mark_.leader || each.stat.group == mark_.leader);
      if (!each.told && !has_parent(each) && !carries_mark(each.directory.get(), mark_)) {
        others.push_back(std::move(each));
        return membership::undecided;
      }
      take(std::move(each));
      return membership::member;
    });
    for (bool any = true; any;) {
      any = false;
      for (living_process& each : others) {
        if (!each.directory || !has_parent(each)) continue;
        any = true;
        take(std::move(each));
      }
    }
    return whole;
  }

 private:
  server_mark mark_;
  process_walker walker_{};
};

/// One look at the processes of a server, repeated until none was missed, as often as makes sense.
inline std::vector<living_process> find_server_processes(const server_mark& mark) {
  server_search search{mark};
  std::vector<living_process> processes;
  constexpr int most_walks = 20;
  bool whole = false;
  for (int i = 0; i < most_walks && !whole; ++i) {
    processes.clear();
    whole = search.walk([&](living_process&& each) { processes.push_back(std::move(each)); });
    whole = whole || !processes.empty();
  }
  return processes;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
