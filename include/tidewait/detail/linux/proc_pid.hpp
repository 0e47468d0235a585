// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/syscall.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>

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

/// /proc/PID/cmdline as one line: arguments end in NUL, a process may write anything there. Of a
/// longer one than 4 KiB the front, and "...".
inline std::string parse_command_line(std::string_view bytes) {
  while (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  std::string text{bytes.substr(0, longest_foreign_text + 1)};
  std::replace(text.begin(), text.end(), '\0', ' ');
  return sanitised(text);
}

/// A directory of /proc, read name by name. Where `each` returns a bool, false ends the reading.
/// Not readdir(3), which makes the kernel fill 32 KiB even if only the first names are wanted: of
/// /proc/PID/fd each name costs the kernel an inode.
template <typename Each>
std::error_code for_each_name(int at, const char* path, Each&& each) {
  const unique_fd directory{sys.openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return last_error();
  alignas(std::uint64_t) char entries[4096];
  for (;;) {
    const long got = ::syscall(SYS_getdents64, directory.get(), entries, sizeof entries);
    if (got < 0) return last_error();
    if (got == 0) return {};
    // struct linux_dirent64, getdents64(2): inode, offset, length of the entry, type, name.
    constexpr long length_at = 16;
    constexpr long name_at = 19;
    for (long next = 0; next < got;) {
      const char* const name = entries + next + name_at;
      std::uint16_t length = 0;
      std::memcpy(&length, entries + next + length_at, sizeof length);
      next += length;
      if (name[0] == '.') continue;
      if constexpr (std::is_same_v<decltype(each(directory.get(), name)), bool>) {
        if (!each(directory.get(), name)) return {};
      } else {
        each(directory.get(), name);
      }
    }
  }
}

inline std::optional<int> parse_pid(std::string_view name) noexcept {
  const auto pid = take_number(name, 0x7fffffff);
  if (!pid || !name.empty()) return std::nullopt;
  return static_cast<int>(*pid);
}

/// This process by its number in /proc; 0, and `error` says why, if it is not there. Not getpid():
/// in a pid namespace that still sees the outer /proc the two differ.
inline int own_pid(std::error_code& error) {
  char text[16];
  const ssize_t length = sys.readlinkat(AT_FDCWD, proc_path("self").c_str(), text, sizeof text);
  error = length > 0 ? std::error_code{} : last_error();
  if (error) return 0;
  const auto pid = parse_pid({text, static_cast<std::size_t>(length)});
  if (!pid) error = std::make_error_code(std::errc::no_such_process);
  return pid.value_or(0);
}

/// Whether /proc numbers processes as kill(2) and fork(2) do: it is of this pid namespace.
inline bool proc_has_our_numbers() {
  std::error_code error;
  return own_pid(error) == ::getpid();
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
