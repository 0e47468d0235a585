// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string pid_path(int pid) { return proc_path(std::to_string(pid)); }

/// What came of looking through the descriptors of a process.
struct process_visit {
  int pid = 0;
  std::error_code error{};
  bool whole = true;               ///< Otherwise it holds more descriptors than were looked at,
  off_t size = 0;                  ///< so many (since Linux 6.2).
  process owner{};                 ///< If it was looked through and holds a socket in question.
  bool large_environment = false;  ///< Too large to be seen whole; no mark of ours was in the rest.
  std::vector<std::pair<std::uint32_t, int>> held{};  ///< Inode of the socket, descriptor.
};

/// Whether the system would not let us look; otherwise a process is gone, or something is short.
inline bool is_refusal(const std::error_code& error) noexcept {
  return error == std::errc::permission_denied || error == std::errc::operation_not_permitted;
}
inline bool is_gone(const std::error_code& error) noexcept {
  return error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process;
}

/// Looks through the descriptors of processes. What is said of a process is read through one open
/// directory, so that a reused pid is never taken for the old process.
class process_visitor {
 public:
  /// `error()` says why /proc does not show this process.
  process_visitor() {
    self_ = own_pid(error_);
    if (const std::string* const mark = made_run_mark) {
      mark_ = *mark;
      marked_memfd_ = "/memfd:" + std::string{run_memfd_prefix} + mark_;
    }
  }

  int self() const noexcept { return self_; }
  std::error_code error() const noexcept { return error_; }

  /// Looks through the first `most` descriptors of one process for sockets whose inode `wanted`
  /// holds of. Throws nothing: `error` says what kept it from seeing them all.
  template <typename Wanted>
  process_visit visit(int pid, relation how, Wanted&& wanted,
                      std::size_t most = ~std::size_t{0}) const noexcept {
    process_visit result;
    result.pid = pid;
    try {
      const unique_fd directory = open_process(pid);
      if (!directory) {
        result.error = last_error();
        return result;
      }
      std::size_t count = 0;
      bool marked = look_through(directory.get(), wanted, most, result, count);
      unique_fd thread;
      // Where only the main thread has ended, nobody but root may even look, and sees nothing.
      if (count == 0 && (thread = open_live_thread(directory.get()))) {
        marked = look_through(thread.get(), wanted, most, result, count);
      }
      if (result.whole && !result.held.empty()) {
        read_owner(directory.get(), thread ? thread.get() : directory.get(), how, marked, result);
      }
    } catch (...) {
      result.error = std::make_error_code(std::errc::not_enough_memory);
      result.held.clear();
    }
    return result;
  }

  /// Looks through the descriptors of each thread that has a table of its own, and hands what came
  /// of it to `each(const process_visit&)`.
  template <typename Wanted, typename Each>
  void visit_own_tables(int pid, relation how, Wanted&& wanted, Each&& each) const noexcept {
    try {
      const unique_fd directory = open_process(pid);
      if (!directory) return;
      for_each_name(directory.get(), "task", [&](int tasks, const char* name) {
        const auto tid = parse_pid(name);
        if (!tid || *tid == pid || shares_descriptors(pid, *tid)) return;
        const unique_fd thread{sys.openat(tasks, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        process_visit result;
        result.pid = pid;
        std::size_t count = 0;
        if (!thread) return;
        const bool marked = look_through(thread.get(), wanted, ~std::size_t{0}, result, count);
        if (result.held.empty()) return;
        read_owner(directory.get(), directory.get(), how, marked, result);
        result.owner.thread = *tid;
        each(result);
      });
    } catch (...) {
      // No memory: what was not seen stays without an owner.
    }
  }

  /// Who a process is that was found in another way than by its descriptors.
  process describe(int directory, int pid) const {
    process_visit result;
    result.pid = pid;
    read_owner(directory, directory, pid == self_ ? relation::self : relation::other, false,
               result);
    return std::move(result.owner);
  }

 private:
  /// Whether the kernel says so (kcmp(2)); where it does not answer, the thread is looked through.
  bool shares_descriptors(int pid, int tid) const noexcept {
    if (self_ != ::getpid()) return false;  // the numbers are those of another pid namespace
    return ::syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0UL, 0UL) == 0;
  }

  /// Returns whether a file among the descriptors carries this run's mark; counts those looked at.
  template <typename Wanted>
  bool look_through(int directory, Wanted&& wanted, std::size_t most, process_visit& result,
                    std::size_t& count) const {
    bool marked = false;
    count = 0;
    std::error_code failure;  // the directory may be open to root, and its links not (ptrace(2))
    result.error = for_each_name(directory, "fd", [&](int fds, const char* name) {
      if (count++ == most) {
        struct stat info {};
        if (::fstat(fds, &info) == 0) result.size = info.st_size;
        result.whole = false;
        return false;
      }
      char link[64];
      const ssize_t length = sys.readlinkat(fds, name, link, sizeof link);
      if (length <= 0) {
        if (const auto error = last_error(); !is_gone(error)) failure = error;
        return true;
      }
      const std::string_view text{link, static_cast<std::size_t>(length)};
      if (const auto inode = parse_socket_link(text)) {
        if (wanted(*inode)) result.held.push_back({*inode, parse_pid(name).value_or(-1)});
      } else {
        marked = marked || is_marked_memfd(text);
      }
      return true;
    });
    if (!result.error) result.error = failure;
    return marked;
  }

  /// `thread`: the directory of the process itself, or of a thread of it that has its memory still.
  void read_owner(int directory, int thread, relation how, bool marked,
                  process_visit& result) const {
    process& owner = result.owner;
    owner.pid = result.pid;
    owner.relation = how;
    if (how == relation::other) {
      std::string environment;
      const auto unread = read_environment(thread, environment);
      // Anyone can read a mark, and wear it: only what this user has started is claimed by one.
      marked = (marked || (!mark_.empty() && environment_has_mark(environment, mark_))) &&
               is_of_own_user(directory);
      owner.relation = relation_of(directory, marked);
      if (!owner.ours()) owner.test = sanitised(variable_in(environment, test_variable));
      result.large_environment = !owner.ours() && unread == std::errc::file_too_large;
    }
    owner.name = read_process_name(directory);
    owner.command = read_command_line(thread);
  }

  bool is_marked_memfd(std::string_view link) const noexcept {
    return !mark_.empty() && link.substr(0, marked_memfd_.size()) == marked_memfd_;
  }

  /// Whether a process outside the tree as it was walked belongs to it after all: it was started
  /// since, or it has lost its parent and carries this run's mark.
  relation relation_of(int directory, bool marked) const {
    auto stat = read_process_stat(directory);
    for (int steps = 0; stat && stat->parent > 1 && steps < 64; ++steps) {
      if (stat->parent == self_) return relation::descendant;
      stat = read_process_stat(open_process(stat->parent).get());
    }
    return marked ? relation::marked_orphan : relation::other;
  }

  std::string mark_{};          // empty: this run has none yet
  std::string marked_memfd_{};  // how its memfd appears, without " (deleted)"
  int self_ = 0;
  std::error_code error_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
