// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string name_of(const process& owner) {
  std::string text = "pid " + std::to_string(owner.pid);
  if (!owner.name.empty()) text += " (" + owner.name + ')';
  return text;
}

/// "fd 7", "fds 7, 8 and 9", "fds 7, 8, 9 and 4 more".
inline std::string descriptors_of(const process& owner) {
  constexpr std::size_t most = 4;
  std::vector<std::string> numbers;
  for (const int fd : owner.fds) numbers.push_back(std::to_string(fd));
  if (numbers.size() > most) {
    const std::size_t more = numbers.size() - most + 1;
    numbers.resize(most - 1);
    numbers.push_back(std::to_string(more) + " more");
  }
  const std::string thread =
      owner.thread != 0 ? " of thread " + std::to_string(owner.thread) : std::string{};
  if (numbers.size() < 2) return "fd " + joined(numbers, "") + thread;
  const std::string last = numbers.back();
  numbers.pop_back();
  return "fds " + joined(numbers, ", ") + " and " + last + thread;
}

inline const process* find_owner(const observed_socket& socket, relation which) noexcept {
  for (const process& owner : socket.owners) {
    if (owner.relation == which) return &owner;
  }
  return nullptr;
}

/// "thread 4712 of this process", "thread 4712 of pid 99 (server)"; without a thread likewise.
inline std::string whose(const process& who) {
  const std::string thread =
      who.thread != 0 ? "thread " + std::to_string(who.thread) + " of " : std::string{};
  return thread + (who.relation == relation::self ? "this process" : name_of(who));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
