// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/syscall.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/number.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The descriptor on which a thread waits in accept(), from the text of /proc/PID/task/TID/syscall
/// ("43 0x3 0x0 …": number and arguments, proc(5)); nothing if it does something else.
inline std::optional<int> parse_accept_descriptor(std::string_view text) noexcept {
  std::string_view number_word = take_word(text);
  std::string_view argument = take_word(text);
  const auto number = take_number(number_word, 100000);
  if (!number || argument.substr(0, 2) != "0x") return std::nullopt;
  bool accepts = *number == SYS_accept4;
#ifdef SYS_accept
  accepts = accepts || *number == SYS_accept;
#endif
  argument.remove_prefix(2);
  const auto fd = take_number(argument, 0x7fffffff, 16);
  return accepts && fd && argument.empty() ? std::optional{static_cast<int>(*fd)} : std::nullopt;
}

/// On how many descriptors that are no socket any more threads of this process sit in accept(): the
/// trace of listeners that were closed under them. The thread keeps the socket alive, nobody holds
/// it.
inline std::size_t listeners_closed_under_accept() {
  std::vector<int> closed;
  std::string text;
  for_each_name(AT_FDCWD, proc_path("self/task").c_str(), [&](int tasks, const char* task) {
    if (read_file(tasks, (std::string{task} + "/syscall").c_str(), text)) return;
    const auto fd = parse_accept_descriptor(text);
    if (!fd || std::find(closed.begin(), closed.end(), *fd) != closed.end()) return;
    char link[64];
    const std::string path = proc_path("self/fd/") + std::to_string(*fd);
    const ssize_t length = sys.readlinkat(AT_FDCWD, path.c_str(), link, sizeof link);
    if (length <= 0 || !parse_socket_link({link, static_cast<std::size_t>(length)}))
      closed.push_back(*fd);
  });
  return closed.size();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
