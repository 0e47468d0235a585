// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <tidewait/coverage.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How much of the machine's processes a search could see.
struct process_visibility {
  std::error_code proc;        ///< /proc could not be read at all.
  bool hidepid = false;        ///< Processes of other users are kept from us as a whole (proc(5)).
  bool pid_namespace = false;  ///< In a pid namespace of its own: processes outside do not appear.
  std::vector<std::uint32_t>
      unreadable_users;  ///< Users of whom a process would not show its files.

  bool all() const noexcept { return !proc && !hidepid && unreadable_users.empty(); }
  /// Whether a socket of that user may be held by a process that could not be seen.
  bool may_hide(std::uint32_t uid) const noexcept {
    return proc || (hidepid && uid != ::geteuid()) ||
           std::find(unreadable_users.begin(), unreadable_users.end(), uid) !=
               unreadable_users.end();
  }
};

/// Finds which processes hold the given sockets, by /proc/PID/fd. Processes may come and go
/// meanwhile: what is said of one is read through one open directory, so that a reused pid is never
/// taken for the old process.
///
/// The own process tree comes first and is read whole. `until_found` goes further only for sockets
/// that nobody there holds: through the first descriptors of every other process, where sockets
/// that are shared and inherited stand, then through the rest of those that hold many, first those
/// that hold a socket in question.
class owner_search {
 public:
  explicit owner_search(std::vector<socket_entry>& sockets) : sockets_{sockets} {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].inode != 0) wanted_.push_back({sockets[i].inode, i});
    }
    std::sort(wanted_.begin(), wanted_.end(),
              [](const wanted& a, const wanted& b) { return a.inode < b.inode; });
    unfound_ = wanted_.size();
  }

  process_visibility run(owner_reach reach) {
    // Not getpid(): in a pid namespace that still sees the outer /proc the two differ.
    char self[16];
    const ssize_t length = sys.readlinkat(AT_FDCWD, proc_path("self").c_str(), self, sizeof self);
    if (length <= 0) seen_.proc = last_error();
    const auto pid = parse_pid({self, length > 0 ? static_cast<std::size_t>(length) : 0});
    if (!pid && !seen_.proc) seen_.proc = std::make_error_code(std::errc::no_such_process);
    if (pid) {
      self_ = *pid;
      visit_own_tree();
    }
    if (!seen_.proc &&
        (reach == owner_reach::everyone || (reach == owner_reach::until_found && unfound_ != 0))) {
      visit_others(reach);
    }
    finish(reach);
    return seen_;
  }

 private:
  struct wanted {
    std::uint32_t inode;
    std::size_t index;
  };

  /// What came of a process.
  struct visit_result {
    std::error_code error;
    bool whole = true;   ///< Otherwise it holds more descriptors than were looked at.
    bool holds = false;  ///< A socket in question.
    off_t size = 0;      ///< How many descriptors it holds (since Linux 6.2).
  };

  static std::string pid_path(int pid) { return proc_path(std::to_string(pid)); }

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
    seen_.proc = visit(self_, relation::self).error;
    std::vector<int> queue{self_};
    own_tree_ = queue;
    for (std::size_t next = 0; next < queue.size() && !seen_.proc; ++next) {
      for (const int child : children(queue[next])) {
        const auto place = std::lower_bound(own_tree_.begin(), own_tree_.end(), child);
        if (place != own_tree_.end() && *place == child) continue;
        own_tree_.insert(place, child);
        queue.push_back(child);
        note_visibility(child, visit(child, relation::descendant).error);
      }
    }
  }

  void visit_others(owner_reach reach) {
    std::vector<int> pids;
    for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      if (const auto pid = parse_pid(name)) pids.push_back(*pid);
    });
    seen_.hidepid = std::find(pids.begin(), pids.end(), 1) == pids.end();
    struct stat own_namespace {};
    constexpr ino_t init_pid_namespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h
    seen_.pid_namespace = ::stat(proc_path("self/ns/pid").c_str(), &own_namespace) == 0 &&
                          own_namespace.st_ino != init_pid_namespace;
    constexpr std::size_t first_descriptors = 128;
    std::vector<std::pair<int, visit_result>> large;
    for (const int pid : pids) {
      if (std::binary_search(own_tree_.begin(), own_tree_.end(), pid)) continue;
      const visit_result result = visit(pid, relation::other, first_descriptors);
      note_visibility(pid, result.error);
      if (!result.whole) large.push_back({pid, result});
    }
    std::sort(large.begin(), large.end(), [](const auto& a, const auto& b) {
      return std::tie(b.second.holds, a.second.size) < std::tie(a.second.holds, b.second.size);
    });
    for (const auto& [pid, result] : large) {
      if (unfound_ == 0 && !result.holds && reach == owner_reach::until_found) return;
      visit(pid, relation::other);
    }
  }

  /// Remembers whose processes would not show their files.
  void note_visibility(int pid, const std::error_code& error) {
    const auto refused = [](const std::error_code& why) {
      return why == std::errc::permission_denied || why == std::errc::operation_not_permitted;
    };
    if (!refused(error)) return;
    std::string status;
    const std::error_code unknown =
        read_file(AT_FDCWD, (pid_path(pid) + "/status").c_str(), status);
    if (refused(unknown)) seen_.hidepid = true;  // hidepid=1: it appears, and that is all
    if (parse_is_zombie(status)) return;
    const auto uid = parse_effective_uid(status);
    auto& users = seen_.unreadable_users;
    if (uid && std::find(users.begin(), users.end(), *uid) == users.end()) users.push_back(*uid);
  }

  /// Looks through the descriptors of one process and notes it at each socket that it holds. One
  /// that holds more than `most` of them is not noted: it has to be visited again.
  visit_result visit(int pid, relation how, std::size_t most = ~std::size_t{0}) {
    visit_result result;
    const unique_fd directory{
        sys.openat(AT_FDCWD, pid_path(pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory) {
      result.error = last_error();
      return result;
    }
    held_.clear();
    bool marked = false;
    std::size_t count = 0;
    std::error_code refusal;  // the directory may be open to root, and its links not (ptrace(2))
    result.error = for_each_name(directory.get(), "fd", [&](int fds, const char* name) {
      if (count++ == most) {
        struct stat info {};
        if (::fstat(fds, &info) == 0) result.size = info.st_size;
        result.whole = false;
        return false;
      }
      char link[64];
      const ssize_t length = sys.readlinkat(fds, name, link, sizeof link);
      if (length <= 0) {
        if (errno == EACCES || errno == EPERM) refusal = last_error();
        return true;
      }
      const std::string_view text{link, static_cast<std::size_t>(length)};
      if (const auto inode = parse_socket_link(text)) {
        find_held(*inode, name);
      } else {
        marked = marked || (how == relation::other && is_run_memfd(text));
      }
      return true;
    });
    if (!result.error) result.error = refusal;
    result.holds = !held_.empty();
    if (result.holds && result.whole) note(directory.get(), pid, how, marked);
    return result;
  }

  void find_held(std::uint32_t inode, std::string_view descriptor) {
    const auto below = [](const wanted& a, std::uint32_t value) { return a.inode < value; };
    auto each = std::lower_bound(wanted_.begin(), wanted_.end(), inode, below);
    for (; each != wanted_.end() && each->inode == inode; ++each) {
      held_.push_back({each->index, parse_pid(descriptor).value_or(-1)});
    }
  }

  void note(int directory, int pid, relation how, bool marked) {
    process owner;
    owner.pid = pid;
    owner.relation = how == relation::other ? relation_of(directory, marked) : how;
    std::string text;
    if (!read_file(directory, "comm", text)) {
      owner.name = sanitised(std::string_view{text}.substr(0, text.find('\n')));
    }
    if (!read_file(directory, "cmdline", text)) owner.command = parse_command_line(text);
    for (const auto& [index, fd] : held_) {
      socket_entry& socket = sockets_[index];
      if (socket.owners.empty()) --unfound_;
      if (socket.owners.empty() || socket.owners.back().pid != pid) socket.owners.push_back(owner);
      socket.owners.back().fds.push_back(fd);
      socket.owned = ownership::found;
    }
  }

  static bool is_run_memfd(std::string_view link) {
    const std::string memfd = "/memfd:" + std::string{run_memfd_prefix} + run_mark();
    return link.substr(0, memfd.size()) == memfd;
  }

  /// Whether a process outside the tree as it was walked belongs to it after all: it was started
  /// since, or it has lost its parent and carries this run's mark.
  relation relation_of(int directory, bool marked) const {
    std::string text;
    if (!read_file(directory, "stat", text)) {
      std::optional<int> parent = parse_parent_pid(text);
      for (int steps = 0; parent && *parent > 1 && steps < 64; ++steps) {
        if (*parent == self_) return relation::descendant;
        if (read_file(AT_FDCWD, (pid_path(*parent) + "/stat").c_str(), text)) break;
        parent = parse_parent_pid(text);
      }
    }
    if (marked) return relation::marked_orphan;
    if (!read_file(directory, "environ", text) && environment_has_mark(text, run_mark())) {
      return relation::marked_orphan;
    }
    return relation::other;
  }

  void finish(owner_reach reach) {
    for (socket_entry& socket : sockets_) {
      if (!socket.owners.empty()) continue;
      if (socket.inode == 0) {
        socket.owned = ownership::kernel;
      } else if (seen_.may_hide(socket.uid)) {
        socket.owned = ownership::hidden;
      } else if (reach != owner_reach::own_tree) {
        socket.owned = ownership::ownerless;
      }
    }
  }

  std::vector<socket_entry>& sockets_;
  std::vector<wanted> wanted_;  // sorted by inode
  std::size_t unfound_ = 0;
  std::vector<std::pair<std::size_t, int>> held_;  // index of a socket, descriptor of the visited
  int self_ = 0;
  std::vector<int> own_tree_;  // sorted
  process_visibility seen_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
