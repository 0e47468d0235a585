// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// One line of /proc/PID/stat, as far as it is needed (proc(5)).
struct process_stat {
  int pid = 0;
  char state = '?';
  int parent = 0;
  int group = 0;
  std::uint32_t flags = 0;
  std::uint64_t start = 0;  ///< Clock ticks since boot; with the pid it names a process for good.

  bool alive() const noexcept { return state != 'Z' && state != 'X'; }
};

inline std::optional<process_stat> parse_process_stat(int pid, std::string_view text) noexcept {
  const auto end = text.rfind(')');
  if (end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(end + 1);
  process_stat stat;
  stat.pid = pid;
  for (int field = 3; field <= 22; ++field) {
    std::string_view word = take_word(text);
    if (word.empty()) return std::nullopt;
    if (field == 3) stat.state = word.front();
    if (field == 4) stat.parent = static_cast<int>(take_number(word, 0x7fffffff).value_or(0));
    if (field == 5) stat.group = static_cast<int>(take_number(word, 0x7fffffff).value_or(0));
    if (field == 9) stat.flags = take_number(word, 0xffffffff).value_or(0);
    if (field != 22) continue;
    for (const char c : word) stat.start = stat.start * 10 + static_cast<unsigned>(c - '0');
  }
  return stat;
}

inline std::optional<process_stat> read_process_stat(int pid) {
  std::string text;
  if (read_file(AT_FDCWD, proc_path(std::to_string(pid) + "/stat").c_str(), text)) {
    return std::nullopt;
  }
  return parse_process_stat(pid, text);
}

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
  const std::string directory = proc_path(std::to_string(pid));
  std::string environment;
  if (!read_file(AT_FDCWD, (directory + "/environ").c_str(), environment)) {
    if (environment_has_mark(environment, mark.id)) return true;
    // It has the mark of another run or server: to go through its files would be in vain.
    if (environment.find(std::string{run_variable} + '=') != std::string::npos) return false;
  }
  const std::string wanted = "/memfd:" + mark.memfd + ' ';  // "… (deleted)"
  bool found = false;
  for_each_name(AT_FDCWD, (directory + "/fd").c_str(), [&](int fds, const char* name) {
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
    const auto stat = pid ? read_process_stat(*pid) : std::nullopt;
    if (stat && stat->alive() && stat->start >= mark.since && *pid != ::getpid()) {
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

inline bool same_process(const process_stat& a, const process_stat& b) noexcept {
  return a.pid == b.pid && a.start == b.start;
}

/// Who it is, for a message.
inline process describe(const family_member& member) {
  process who;
  who.pid = member.stat.pid;
  who.relation = relation::descendant;
  const std::string directory = proc_path(std::to_string(who.pid));
  std::string text;
  if (!read_file(AT_FDCWD, (directory + "/comm").c_str(), text)) {
    who.name = sanitised(std::string_view{text}.substr(0, text.find('\n')));
  }
  if (!read_file(AT_FDCWD, (directory + "/cmdline").c_str(), text)) {
    who.command = parse_command_line(text);
  }
  return who;
}

/// Sends a signal to this process, unless it has gone and another has got its pid. (Pids go round;
/// between the look and the signal one does not come back. pidfd_open(2) would need Linux 5.3.)
inline void send_signal(const process_stat& to, int number) {
  const auto now = read_process_stat(to.pid);
  if (now && same_process(*now, to)) ::kill(to.pid, number);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
