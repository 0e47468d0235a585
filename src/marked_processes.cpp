// SPDX-License-Identifier: BSL-1.0
#include "marked_processes.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <tidewait/detail/linux/owner_search.hpp>

namespace tidewait::command {

std::uint64_t mark_limit(std::string_view mark) {
  std::uint64_t bits = 0;
  for (const char digit : mark) {
    bits = bits << 4U | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  constexpr std::uint64_t beyond_any_time = std::uint64_t{1} << 62U;
  return beyond_any_time | (bits & (beyond_any_time - 1));
}

std::optional<std::uint64_t> limit_in(std::string_view limits) {
  constexpr std::string_view title = "Max realtime timeout";
  while (!limits.empty()) {
    std::string_view line = detail::take_line(limits);
    if (line.substr(0, title.size()) != title) continue;
    line.remove_prefix(title.size());
    std::uint64_t value = 0;
    const std::string_view word = detail::take_word(line);
    const auto end = std::from_chars(word.data(), word.data() + word.size(), value);
    if (end.ec == std::errc{}) return value;
    break;
  }
  return std::nullopt;
}

std::error_code put_mark_limit(int pid, std::string_view mark) {
  rlimit64 limit{};
  if (::prlimit64(pid, RLIMIT_RTTIME, nullptr, &limit) != 0) return detail::last_error();
  limit.rlim_cur = mark_limit(mark);
  if (::prlimit64(pid, RLIMIT_RTTIME, &limit, nullptr) != 0) return detail::last_error();
  return {};
}

namespace {

bool is_zombie(const detail::unique_fd& directory) {
  std::string text;
  if (detail::read_file(directory.get(), "stat", text)) return true;  // it is gone
  const auto end = text.rfind(')');
  return end == std::string::npos || text.compare(end, 3, ") Z") == 0 ||
         text.compare(end, 3, ") X") == 0;
}

}  // namespace

std::vector<marked_process> find_marked(std::string_view mark) {
  std::error_code unread;
  const std::vector<int> own = detail::own_line(unread);
  if (unread) throw std::system_error{unread, "reading /proc/self"};
  const std::uint64_t limit = mark_limit(mark);
  std::vector<marked_process> found;
  const auto error = detail::for_each_name(AT_FDCWD, detail::sys.proc, [&](int, const char* name) {
    const auto pid = detail::parse_pid(name);
    if (!pid || std::find(own.begin(), own.end(), *pid) != own.end()) return;
    marked_process process;
    process.directory = detail::unique_fd{detail::sys.openat(
        AT_FDCWD, detail::proc_path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!process.directory) return;
    std::string text;
    if (!detail::read_file(process.directory.get(), "environ", text) &&
        detail::environment_has_mark(text, mark)) {
      process.test = detail::sanitised(detail::variable_in(text, test_variable));
    } else if (detail::read_file(process.directory.get(), "limits", text) ||
               limit_in(text) != limit) {
      return;
    }
    if (is_zombie(process.directory)) return;
    process.pid = *pid;
    if (!detail::read_file(process.directory.get(), "comm", text)) {
      process.name = detail::sanitised(std::string_view{text}.substr(0, text.find('\n')));
    }
    if (!detail::read_file(process.directory.get(), "cmdline", text)) {
      process.command = detail::parse_command_line(text);
    }
    found.push_back(std::move(process));
  });
  if (error) throw std::system_error{error, "reading /proc"};
  return found;
}

std::vector<marked_process> end_marked(std::string_view mark,
                                       const std::vector<std::string>& tolerated_names,
                                       std::chrono::milliseconds grace) {
  using namespace std::chrono_literals;
  using clock = std::chrono::steady_clock;
  const auto kill_from = clock::now() + grace;
  const auto give_up = kill_from + 5s;
  std::vector<int> asked;
  std::vector<int> killed;
  for (auto pause = 1ms;; pause = std::min<std::chrono::milliseconds>(pause * 2, 50ms)) {
    std::vector<marked_process> alive = find_marked(mark);
    const auto tolerated = [&](const marked_process& each) {
      return std::find(tolerated_names.begin(), tolerated_names.end(), each.name) !=
             tolerated_names.end();
    };
    alive.erase(std::remove_if(alive.begin(), alive.end(), tolerated), alive.end());
    if (alive.empty() || clock::now() >= give_up) return alive;
    const bool by_force = clock::now() >= kill_from;
    std::vector<int>& told = by_force ? killed : asked;
    for (const marked_process& each : alive) {
      if (std::find(told.begin(), told.end(), each.pid) != told.end()) continue;
      told.push_back(each.pid);
      for (const int signal :
           {by_force ? SIGKILL : SIGTERM, SIGCONT}) {  // a stopped one cannot end
        ::syscall(SYS_pidfd_send_signal, each.directory.get(), signal, nullptr, 0);
      }
    }
    detail::sleep_for(pause);
  }
}

std::string start_of(int pid) {
  std::string text;
  const std::string path = detail::proc_path(std::to_string(pid)) + "/stat";
  if (detail::read_file(AT_FDCWD, path.c_str(), text)) return {};
  const auto end = text.rfind(')');  // the name before it may hold anything
  if (end == std::string::npos) return {};
  std::string_view rest = std::string_view{text}.substr(end + 1);
  constexpr int fields_between = 19;  // from the state, field 3, to field 22
  for (int i = 0; i < fields_between; ++i) detail::take_word(rest);
  return std::string{detail::take_word(rest)};
}

}  // namespace tidewait::command
