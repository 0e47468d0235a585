// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How the processes of one server are told from all others.
struct family_mark {
  int leader = 0;                ///< The process that was started, leader of its group.
  bool leader_is_known = false;  ///< It has not been waited for, so its pid and group are its own.
  std::uint64_t since = 0;       ///< When it started; nobody of its family is older.
  std::string id;                ///< In TIDEWAIT_RUN, which what is exec'd inherits.
  std::string memfd;             ///< Name of an inherited file: it survives a changed environment.
};

/// Whether the process carries the mark, however far it has gone.
inline bool carries_mark(int pid, const family_mark& mark) {
  const unique_fd directory = open_process(pid);
  if (!is_of_own_user(directory.get())) return false;
  std::string environment;
  if (!read_environment(directory.get(), environment)) {
    if (environment_has_mark(environment, mark.id)) return true;
    // It has the mark of another run or server: to go through its files would be in vain.
    if (environment.find(std::string{run_variable} + '=') != std::string::npos) return false;
  }
  const std::string wanted = "/memfd:" + mark.memfd + ' ';  // "… (deleted)"
  bool found = false;
  for_each_name(directory.get(), "fd", [&](int fds, const char* name) {
    char link[128];
    const ssize_t length = found ? 0 : sys.readlinkat(fds, name, link, sizeof link);
    found = found || (length > 0 && std::string_view{link, static_cast<std::size_t>(length)}.substr(
                                        0, wanted.size()) == wanted);
  });
  return found;
}

/// One living process of a server.
struct family_member {
  process_stat stat;
  bool in_group = false;
};

/// One walk through /proc.
inline std::vector<family_member> find_family_once(const family_mark& mark) {
  std::vector<process_stat> all;
  for_each_name(AT_FDCWD, sys.proc, [&](int, const char* name) {
    const auto pid = parse_pid(name);
    const auto stat = pid ? read_process_stat(open_process(*pid).get()) : std::nullopt;
    if (stat && !stat->ended() && stat->start >= mark.since && *pid != ::getpid()) {
      all.push_back(*stat);
    }
  });
  std::vector<family_member> family;
  const auto take = [&](auto&& belongs) {
    const auto first = std::stable_partition(
        all.begin(), all.end(), [&](const process_stat& each) { return !belongs(each); });
    for (auto each = first; each != all.end(); ++each) {
      family.push_back({*each, mark.leader_is_known && each->group == mark.leader});
    }
    const bool any = first != all.end();
    all.erase(first, all.end());
    return any;
  };
  take([&](const process_stat& each) {
    return (mark.leader_is_known && (each.pid == mark.leader || each.group == mark.leader)) ||
           carries_mark(each.pid, mark);
  });
  while (take([&](const process_stat& each) {
    return std::any_of(family.begin(), family.end(),
                       [&](const family_member& parent) { return parent.stat.pid == each.parent; });
  })) {
  }
  return family;
}

/// The living processes of a server: those of its group, those that carry its mark, and whatever
/// these have as children. A process that forks and exits may slip through a walk, child and all:
/// only what was not seen twice is not there.
inline std::vector<family_member> find_family(const family_mark& mark) {
  auto family = find_family_once(mark);
  return family.empty() ? find_family_once(mark) : family;
}

/// Who it is, for a message.
inline process describe(const family_member& member) {
  process who;
  who.pid = member.stat.pid;
  who.relation = relation::descendant;
  const unique_fd directory = open_process(who.pid);
  who.name = read_process_name(directory.get());
  who.command = read_command_line(directory.get());
  return who;
}

/// Sends a signal to this process, unless it has gone and another has got its pid.
inline void send_signal(const process_stat& to, int number) {
  const unique_fd directory = open_process(to.pid);
  const auto now = read_process_stat(directory.get());
  if (now && now->is_same_as(to)) send_signal(directory.get(), number);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
