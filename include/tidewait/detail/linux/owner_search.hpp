// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/process_census.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_visit.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How much of the machine's processes a search could see.
struct process_visibility {
  std::error_code proc{};      ///< /proc could not be read at all.
  bool hidepid = false;        ///< Processes of other users are kept from us as a whole (proc(5)).
  bool pid_namespace = false;  ///< In a pid namespace of its own: processes outside do not appear.
  std::vector<std::uint32_t>
      unreadable_users{};  ///< Users of whom a process would not show its files.
  /// Why a process could not be looked through although it may be: out of descriptors, or memory.
  std::error_code shortage{};
  std::size_t large_environments = 0;  ///< Holders whose environment is too large to be seen whole.

  bool all() const noexcept { return !proc && !hidepid && unreadable_users.empty() && !shortage; }
  /// Whether a socket of that user may be held by a process that could not be seen.
  bool may_hide(std::uint32_t uid) const noexcept {
    // What root has opened may be held by a process that has given up its rights since.
    const bool of_root = uid == 0 && !unreadable_users.empty();
    return proc || shortage || (hidepid && uid != ::geteuid()) || of_root ||
           std::find(unreadable_users.begin(), unreadable_users.end(), uid) !=
               unreadable_users.end();
  }
};

/// Finds which processes hold the given sockets, by /proc/PID/fd. Processes may come and go
/// meanwhile.
///
/// The own process tree comes first and is read whole. `until_found` goes further only for sockets
/// that nobody there holds: through the first descriptors of every other process, where sockets
/// that are shared and inherited stand, then through the rest of those that hold many, first those
/// that hold a socket in question.
class owner_search {
 public:
  explicit owner_search(std::vector<observed_socket>& sockets) : sockets_{sockets} {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].inode != 0) wanted_.push_back({sockets[i].inode, i});
    }
    std::sort(wanted_.begin(), wanted_.end());
    unfound_ = wanted_.size();
  }

  /// `census`: processes that were visited already; without it a search of everyone takes its own.
  process_visibility run(owner_reach reach, process_census* census = nullptr) {
    seen_.proc = visitor_.error();
    if (!seen_.proc) visit_own_tree();
    if (!seen_.proc && reach == owner_reach::everyone) {
      if (census != nullptr) {
        visit_others(reach, census->visits());
      } else {
        visit_others(reach, process_census{}.visits());
      }
    } else if (!seen_.proc && reach == owner_reach::until_found) {
      if (unfound_ != 0) {
        visit_others(reach, {});
      } else {
        look_at_init();
      }
    }
    if (!seen_.proc && reach != owner_reach::own_tree && unfound_ != 0) visit_own_tables();
    finish(reach);
    return seen_;
  }

 private:
  static std::vector<int> children(int pid) {
    std::vector<int> pids;
    std::string text;
    for_each_name(AT_FDCWD, (pid_path(pid) + "/task").c_str(), [&](int tasks, const char* task) {
      if (read_file(tasks, (std::string{task} + "/children").c_str(), text)) return;
      for (std::string_view rest = text; !rest.empty();) {
        if (const auto child = parse_pid(take_word(rest))) pids.push_back(*child);
      }
    });
    return pids;
  }

  void visit_own_tree() {
    seen_.proc = note(visit(visitor_.self(), relation::self));
    std::vector<int> queue{visitor_.self()};
    own_tree_ = queue;
    for (std::size_t next = 0; next < queue.size() && !seen_.proc; ++next) {
      for (const int child : children(queue[next])) {
        const auto place = std::lower_bound(own_tree_.begin(), own_tree_.end(), child);
        if (place != own_tree_.end() && *place == child) continue;
        own_tree_.insert(place, child);
        queue.push_back(child);
        note_visibility(child, note(visit(child, relation::descendant)));
      }
    }
  }

  /// What could be seen of other processes, if none had to be visited: what can be seen of the
  /// first.
  void look_at_init() {
    look_at_pid_namespace();
    constexpr int init = 1;
    const unique_fd directory{
        sys.openat(AT_FDCWD, pid_path(init).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const std::error_code hidden = directory ? std::error_code{} : last_error();
    seen_.hidepid = hidden == std::errc::no_such_file_or_directory;
    const auto stop = [](int, const char*) { return false; };
    note_visibility(init, directory ? for_each_name(directory.get(), "fd", stop) : hidden);
  }

  void look_at_pid_namespace() {
    struct stat own_namespace {};
    constexpr ino_t init_pid_namespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h
    seen_.pid_namespace = ::stat(proc_path("self/ns/pid").c_str(), &own_namespace) == 0 &&
                          own_namespace.st_ino != init_pid_namespace;
  }

  void visit_others(owner_reach reach, const std::vector<process_visit>& visited) {
    std::vector<int> pids;
    for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      if (const auto pid = parse_pid(name)) pids.push_back(*pid);
    });
    seen_.hidepid = std::find(pids.begin(), pids.end(), 1) == pids.end();
    look_at_pid_namespace();
    const bool all = reach == owner_reach::everyone;
    const std::size_t first_descriptors = all ? ~std::size_t{0} : 128;
    std::vector<process_visit> large;
    for (const int pid : pids) {
      if (std::binary_search(own_tree_.begin(), own_tree_.end(), pid)) continue;
      const auto known =
          std::lower_bound(visited.begin(), visited.end(), pid,
                           [](const process_visit& each, int value) { return each.pid < value; });
      if (known != visited.end() && known->pid == pid && known->whole && !known->error) {
        note_visibility(pid, note(*known));
        continue;
      }
      process_visit result = visit(pid, relation::other, first_descriptors);
      if (result.whole) {
        note_visibility(pid, note(result));
        continue;
      }
      // What would not show its first descriptors does not show the others.
      note_visibility(pid, result.error);
      if (!is_refusal(result.error)) large.push_back(std::move(result));
    }
    std::sort(large.begin(), large.end(), [](const auto& a, const auto& b) {
      const bool a_holds = !a.held.empty();
      const bool b_holds = !b.held.empty();
      return std::tie(b_holds, a.size) < std::tie(a_holds, b.size);
    });
    for (const process_visit& each : large) {
      if (unfound_ == 0 && each.held.empty()) return;
      note_visibility(each.pid, note(visit(each.pid, relation::other)));
    }
  }

  /// What no process holds may be in the descriptor table of a single thread (unshare(2)).
  void visit_own_tables() {
    std::vector<int> pids = own_tree_;
    for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      const auto pid = parse_pid(name);
      if (pid && !std::binary_search(own_tree_.begin(), own_tree_.end(), *pid))
        pids.push_back(*pid);
    });
    const auto wanted = [this](std::uint32_t inode) { return is_wanted(inode); };
    for (const int pid : pids) {
      if (unfound_ == 0) return;
      const bool own = std::binary_search(own_tree_.begin(), own_tree_.end(), pid);
      const relation how = pid == visitor_.self() ? relation::self
                           : own                  ? relation::descendant
                                                  : relation::other;
      visitor_.visit_own_tables(pid, how, wanted,
                                [this](const process_visit& result) { note(result); });
    }
  }

  process_visit visit(int pid, relation how, std::size_t most = ~std::size_t{0}) const {
    const auto wanted = [this](std::uint32_t inode) { return is_wanted(inode); };
    return visitor_.visit(pid, how, wanted, most);
  }

  bool is_wanted(std::uint32_t inode) const {
    const auto found = sockets_of(inode);
    return found != wanted_.end() && found->first == inode;
  }

  /// Where the sockets with that inode begin.
  std::vector<std::pair<std::uint32_t, std::size_t>>::const_iterator sockets_of(
      std::uint32_t inode) const {
    return std::lower_bound(wanted_.begin(), wanted_.end(), std::pair{inode, std::size_t{0}});
  }

  /// Remembers whose processes would not show their files.
  void note_visibility(int pid, const std::error_code& error) {
    if (error && !is_refusal(error) && !is_gone(error)) seen_.shortage = error;
    if (!is_refusal(error)) return;
    std::string text;
    const std::error_code unknown = read_file(AT_FDCWD, (pid_path(pid) + "/status").c_str(), text);
    if (is_refusal(unknown)) seen_.hidepid = true;  // hidepid=1: it appears, and that is all
    const process_status status = parse_process_status(text);
    if (status.ended()) return;
    const auto uid = status.uid;
    auto& users = seen_.unreadable_users;
    if (uid && std::find(users.begin(), users.end(), *uid) == users.end()) users.push_back(*uid);
  }

  /// Enters a process that was looked through at each socket that it holds. Returns what kept it
  /// from being looked through.
  std::error_code note(const process_visit& result) {
    bool holds = false;
    auto next = wanted_.cbegin();  // descriptors are often in the order of their sockets
    for (const auto& [inode, fd] : result.held) {
      if (next == wanted_.cend() || next->first != inode) next = sockets_of(inode);
      for (; next != wanted_.cend() && next->first == inode; ++next) {
        observed_socket& socket = sockets_[next->second];
        if (socket.owners.empty()) --unfound_;
        if (socket.owners.empty() || socket.owners.back().pid != result.pid ||
            socket.owners.back().thread != result.owner.thread)
          socket.owners.push_back(result.owner);
        socket.owners.back().fds.push_back(fd);
        socket.owned = ownership::found;
        holds = true;
      }
    }
    if (holds && result.large_environment) ++seen_.large_environments;
    return result.error;
  }

  void finish(owner_reach reach) {
    for (observed_socket& socket : sockets_) {
      if (!socket.owners.empty()) continue;
      if (socket.inode == 0) {
        socket.owned = ownership::kernel;
      } else if (seen_.may_hide(socket.uid)) {
        socket.owned = ownership::hidden;
      } else if (reach != owner_reach::own_tree) {
        socket.owned = seen_.pid_namespace ? ownership::outside : ownership::ownerless;
      }
    }
  }

  std::vector<observed_socket>& sockets_;
  std::vector<std::pair<std::uint32_t, std::size_t>> wanted_{};  // inode and index, sorted
  std::size_t unfound_ = 0;
  process_visitor visitor_{};
  std::vector<int> own_tree_{};  // sorted
  process_visibility seen_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
