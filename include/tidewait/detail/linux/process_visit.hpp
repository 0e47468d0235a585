// SPDX-License-Identifier: BSL-1.0
#pragma once

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
  std::error_code error;
  bool whole = true;  ///< Otherwise it holds more descriptors than were looked at,
  off_t size = 0;     ///< so many (since Linux 6.2).
  process owner;      ///< If it was looked through and holds a socket in question.
  std::vector<std::pair<std::uint32_t, int>> held;  ///< Inode of the socket, descriptor.
};

/// Looks through the descriptors of processes. What is said of a process is read through one open
/// directory, so that a reused pid is never taken for the old process.
class process_visitor {
 public:
  /// Throws nothing; `error()` says why /proc does not show this process.
  process_visitor() { self_ = own_pid(error_); }

  int self() const noexcept { return self_; }
  std::error_code error() const noexcept { return error_; }

  /// Looks through the first `most` descriptors of one process for sockets whose inode `wanted`
  /// holds of.
  template <typename Wanted>
  process_visit visit(int pid, relation how, Wanted&& wanted,
                      std::size_t most = ~std::size_t{0}) const {
    process_visit result;
    result.pid = pid;
    const unique_fd directory = open_process(pid);
    if (!directory) {
      result.error = last_error();
      return result;
    }
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
        if (wanted(*inode)) result.held.push_back({*inode, parse_pid(name).value_or(-1)});
      } else {
        marked = marked || (how == relation::other && is_run_memfd(text));
      }
      return true;
    });
    if (!result.error) result.error = refusal;
    if (result.whole && !result.held.empty())
      result.owner = read_owner(directory.get(), pid, how, marked);
    return result;
  }

 private:
  process read_owner(int directory, int pid, relation how, bool marked) const {
    process owner;
    owner.pid = pid;
    owner.relation = how;
    if (how == relation::other) {
      std::string environment;
      static_cast<void>(read_environment(directory, environment));
      owner.relation =
          relation_of(directory, marked || environment_has_mark(environment, run_mark()));
      if (!owner.ours()) owner.test = sanitised(variable_in(environment, test_variable));
    }
    owner.name = read_process_name(directory);
    owner.command = read_command_line(directory);
    return owner;
  }

  static bool is_run_memfd(std::string_view link) {
    const std::string memfd = "/memfd:" + std::string{run_memfd_prefix} + run_mark();
    return link.substr(0, memfd.size()) == memfd;
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

  int self_ = 0;
  std::error_code error_;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
