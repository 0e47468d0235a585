// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/coverage.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "socket:[4711]" of a /proc/PID/fd link → 4711; nothing if it is another kind of file.
inline std::optional<std::uint32_t> parse_socket_link(std::string_view link) noexcept {
  constexpr std::string_view prefix = "socket:[";
  if (link.substr(0, prefix.size()) != prefix) return std::nullopt;
  link.remove_prefix(prefix.size());
  const auto inode = take_number(link, 0xffffffff);
  return inode && link == "]" ? inode : std::nullopt;
}

/// The parent's pid in the text of /proc/PID/stat. The name before it stands in parentheses and may
/// itself hold parentheses and spaces: the last ')' counts.
inline std::optional<int> parse_parent_pid(std::string_view stat) noexcept {
  const auto end = stat.rfind(')');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view rest = stat.substr(end + 1);
  take_word(rest);  // state
  std::string_view word = take_word(rest);
  const auto parent = take_number(word, 0x7fffffff);
  if (!parent || !word.empty()) return std::nullopt;
  return static_cast<int>(*parent);
}

/// The effective user in the text of /proc/PID/status ("Uid:\treal\teffective\t…").
inline std::optional<std::uint32_t> parse_effective_uid(std::string_view status) noexcept {
  while (!status.empty()) {
    std::string_view line = take_line(status);
    if (take_word(line) != "Uid:") continue;
    take_word(line);
    std::string_view word = take_word(line);
    return take_number(word, 0xffffffff);
  }
  return std::nullopt;
}

/// /proc/PID/cmdline as one line: arguments end in NUL, a process may write anything there.
inline std::string parse_command_line(std::string_view bytes) {
  while (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  std::string text{bytes.substr(0, 4096)};
  std::replace(text.begin(), text.end(), '\0', ' ');
  return sanitised(text);
}

/// A directory of /proc, read name by name.
template <typename Each>
std::error_code for_each_name(int at, const char* path, Each&& each) {
  unique_fd directory{sys.openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return last_error();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(directory.get()), ::closedir};
  if (!stream) return last_error();
  const int fd = directory.release();  // the stream's from here
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) return last_error();
    if (entry->d_name[0] != '.') each(fd, static_cast<const char*>(entry->d_name));
  }
}

inline std::optional<int> parse_pid(std::string_view name) noexcept {
  const auto pid = take_number(name, 0x7fffffff);
  if (!pid || !name.empty()) return std::nullopt;
  return static_cast<int>(*pid);
}

/// How much of the machine's processes a search could see.
struct process_visibility {
  std::error_code proc;        ///< /proc could not be read at all.
  bool hidepid = false;        ///< Processes of other users do not even appear (proc(5)).
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
/// meanwhile: each is read through one open directory, so that a reused pid is never taken for the
/// old process.
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
    process_visibility seen;
    // Not getpid(): in a pid namespace that still sees the outer /proc the two differ.
    char self[16];
    const ssize_t length = sys.readlinkat(AT_FDCWD, proc_path("self").c_str(), self, sizeof self);
    const auto pid = parse_pid({self, length > 0 ? static_cast<std::size_t>(length) : 0});
    if (!pid) {
      seen.proc = last_error();
      return finish(reach, seen);
    }
    seen.proc = visit(*pid, relation::self);
    for (std::size_t next = 0; next < visited_.size() && !seen.proc; ++next) {
      for (const int child : children(visited_[next])) {
        if (std::find(visited_.begin(), visited_.end(), child) == visited_.end()) {
          visit(child, relation::descendant);
        }
      }
    }
    if (reach == owner_reach::own_tree || seen.proc) return finish(reach, seen);
    if (unfound_ != 0 || reach == owner_reach::everyone) visit_others(reach, seen);
    return finish(reach, seen);
  }

 private:
  struct wanted {
    std::uint32_t inode;
    std::size_t index;
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

  void visit_others(owner_reach reach, process_visibility& seen) {
    std::vector<int> pids;
    for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
      if (const auto pid = parse_pid(name)) pids.push_back(*pid);
    });
    seen.hidepid = std::find(pids.begin(), pids.end(), 1) == pids.end();
    struct stat own_namespace {};
    constexpr ino_t init_pid_namespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h
    seen.pid_namespace = ::stat(proc_path("self/ns/pid").c_str(), &own_namespace) == 0 &&
                         own_namespace.st_ino != init_pid_namespace;
    const std::vector<int> own = visited_;
    // Youngest first: who took a port in a test was most likely started lately.
    for (auto pid = pids.rbegin(); pid != pids.rend(); ++pid) {
      if (reach == owner_reach::until_found && unfound_ == 0) return;
      if (std::find(own.begin(), own.end(), *pid) != own.end()) continue;
      const std::error_code error = visit(*pid, relation::other);
      if (error != std::errc::permission_denied && error != std::errc::operation_not_permitted)
        continue;
      std::string status;
      if (read_file(AT_FDCWD, (pid_path(*pid) + "/status").c_str(), status)) continue;
      const auto uid = parse_effective_uid(status);
      auto& users = seen.unreadable_users;
      if (uid && std::find(users.begin(), users.end(), *uid) == users.end()) users.push_back(*uid);
    }
  }

  /// Looks through the descriptors of one process and notes it at each socket that it holds.
  std::error_code visit(int pid, relation how) {
    const unique_fd directory{
        sys.openat(AT_FDCWD, pid_path(pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory) return last_error();
    visited_.push_back(pid);
    std::vector<std::pair<std::size_t, int>> held;  // index of the socket, descriptor
    bool marked = false;
    const std::error_code error =
        for_each_name(directory.get(), "fd", [&](int fds, const char* name) {
          char link[64];
          const ssize_t length = sys.readlinkat(fds, name, link, sizeof link);
          if (length <= 0) return;
          const std::string_view text{link, static_cast<std::size_t>(length)};
          const auto inode = parse_socket_link(text);
          if (!inode) {
            marked = marked || (how == relation::other && is_run_memfd(text));
            return;
          }
          const auto first = std::lower_bound(
              wanted_.begin(), wanted_.end(), *inode,
              [](const wanted& a, std::uint32_t value) { return a.inode < value; });
          for (auto each = first; each != wanted_.end() && each->inode == *inode; ++each) {
            held.push_back({each->index, parse_pid(name).value_or(-1)});
          }
        });
    if (!held.empty()) note(directory.get(), pid, how, marked, held);
    return error;
  }

  void note(int directory, int pid, relation how, bool marked,
            const std::vector<std::pair<std::size_t, int>>& held) {
    process owner;
    owner.pid = pid;
    owner.relation = how == relation::other ? relation_of(directory, marked) : how;
    std::string text;
    if (!read_file(directory, "comm", text)) {
      owner.name = sanitised(std::string_view{text}.substr(0, text.find('\n')));
    }
    if (!read_file(directory, "cmdline", text)) owner.command = parse_command_line(text);
    for (const auto& [index, fd] : held) {
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
        if (*parent == visited_.front()) return relation::descendant;
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

  process_visibility finish(owner_reach reach, const process_visibility& seen) {
    for (socket_entry& socket : sockets_) {
      if (!socket.owners.empty()) continue;
      if (socket.inode == 0) {
        socket.owned = ownership::kernel;
      } else if (reach != owner_reach::own_tree || seen.proc) {
        socket.owned = seen.may_hide(socket.uid) ? ownership::hidden : ownership::ownerless;
      }
    }
    return seen;
  }

  std::vector<socket_entry>& sockets_;
  std::vector<wanted> wanted_;
  std::vector<int> visited_;
  std::size_t unfound_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
