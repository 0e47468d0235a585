// SPDX-License-Identifier: BSL-1.0
#include "proc_status.hpp"

#include <utility>

#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait::command {

proc_status parse_proc_status(std::string_view text) {
  proc_status status;
  while (!text.empty()) {
    std::string_view line = detail::take_line(text);
    const std::string_view key = detail::take_word(line);
    if (key == "Name:") {
      line.remove_prefix(line.empty() ? 0 : 1);
      status.name = detail::sanitised(line);
    } else if (key == "State:") {
      const std::string_view state = detail::take_word(line);
      status.zombie = state == "Z" || state == "X";
    } else if (key == "PPid:") {
      status.parent = detail::parse_pid(detail::take_word(line)).value_or(0);
    } else if (key == "NSpid:") {
      for (auto word = detail::take_word(line); !word.empty(); word = detail::take_word(line)) {
        status.pids.push_back(detail::parse_pid(word).value_or(0));
      }
    }
  }
  return status;
}

std::optional<proc_status> read_proc_status(std::string_view pid) {
  std::string text;
  const std::string path = detail::proc_path(pid) + "/status";
  if (detail::read_file(AT_FDCWD, path.c_str(), text)) return std::nullopt;
  return parse_proc_status(text);
}

std::vector<std::pair<int, proc_status>> all_processes() {
  std::vector<std::pair<int, proc_status>> all;
  detail::for_each_name(AT_FDCWD, detail::sys.proc, [&](int, const char* name) {
    const auto pid = detail::parse_pid(name);
    if (!pid) return;
    if (auto status = read_proc_status(name)) all.emplace_back(*pid, std::move(*status));
  });
  return all;
}

}  // namespace tidewait::command
