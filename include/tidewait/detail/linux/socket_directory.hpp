// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/kept_fd.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/unix_entry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A private directory for one leased socket path. Its descriptor holds a lock (flock(2)): the
/// lease lasts as long as a process holds the descriptor. After that the next lease removes the
/// directory.
struct socket_directory {
  kept_fd lock{};
  std::string path{};
};

inline constexpr std::string_view socket_directory_prefix = "tidewait-";
inline constexpr std::string_view leased_socket_name = "s";

inline bool is_socket_directory_name(std::string_view name) noexcept {
  constexpr std::size_t digits = 16;  // random_name()
  return name.size() == socket_directory_prefix.size() + digits &&
         name.substr(0, socket_directory_prefix.size()) == socket_directory_prefix &&
         name.substr(socket_directory_prefix.size()).find_first_not_of("0123456789abcdef") ==
             std::string_view::npos;
}

/// Where such directories are made, the first that will do: the user's own directory for sockets,
/// the directory for temporary files, /tmp.
inline std::vector<std::string> socket_directory_bases() {
  std::vector<std::string> bases;
  for (const char* const variable : {"XDG_RUNTIME_DIR", "TMPDIR"}) {
    const char* const value = environment(variable);
    std::string base = value == nullptr ? "" : value;
    while (base.size() > 1 && base.back() == '/') base.pop_back();
    if (!base.empty()) bases.push_back(std::move(base));
  }
  bases.emplace_back("/tmp");
  return bases;
}

/// Opens a base. Refused is one in which another user could put a directory of his own in the place
/// of ours; why, in words.
inline unique_fd open_base(const std::string& base, std::string& why) {
  constexpr std::size_t below = socket_directory_prefix.size() + 16 + leased_socket_name.size() + 2;
  if (base.front() != '/') {
    why = "it is no path from the root";
    return {};
  }
  if (base.size() + below > longest_socket_path) {
    why = "it is too long: a socket path has at most " + std::to_string(longest_socket_path) +
          " bytes";
    return {};
  }
  unique_fd directory{
      sys.openat(AT_FDCWD, base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY)};
  struct stat info {};
  if (!directory || ::fstat(directory.get(), &info) != 0) {
    why = last_error().message();
    return {};
  }
  const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    why = "it belongs to uid " + std::to_string(info.st_uid);
  } else if (others_write && (info.st_mode & S_ISVTX) == 0) {
    why = "other users may write to it, and it has no sticky bit";
  }
  return why.empty() ? std::move(directory) : unique_fd{};
}

/// Takes the lock of a directory, if nobody has it.
inline bool lock_directory(int directory) noexcept {
  return ::flock(directory, LOCK_EX | LOCK_NB) == 0;
}

/// Makes a directory below an open base, as mkdtemp(3) does, and locks it.
inline std::error_code make_directory_in(int base, const std::string& base_path,
                                         socket_directory& made) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string name = std::string{socket_directory_prefix} + random_name();
    if (::mkdirat(base, name.c_str(), S_IRWXU) != 0) {
      if (errno == EEXIST) continue;
      return last_error();
    }
    opened_file directory = open_own(base, name.c_str(), O_RDONLY | O_DIRECTORY, S_IFDIR);
    struct stat info {};
    // Who clears away may have found it before it was locked.
    const bool ours = directory && lock_directory(directory.fd.get()) &&
                      ::fstat(directory.fd.get(), &info) == 0 && info.st_nlink != 0;
    if (!ours && directory.error && directory.error != std::errc::no_such_file_or_directory) {
      ::unlinkat(base, name.c_str(), AT_REMOVEDIR);
      return directory.error;
    }
    if (!ours) continue;
    made.lock = kept_fd{std::move(directory.fd)};
    made.path = base_path == "/" ? '/' + name : base_path + '/' + name;
    return {};
  }
  return std::make_error_code(std::errc::file_exists);
}

/// Removes a directory, and what is in it: sockets, and what servers put beside them.
inline void remove_directory_in(int base, const char* name, int directory) noexcept {
  try {
    std::vector<std::string> names;
    for_each_name(directory, ".", [&](int, const char* each) { names.emplace_back(each); });
    for (const std::string& each : names) ::unlinkat(directory, each.c_str(), 0);
  } catch (...) {
    // Out of memory: then it stays, and the next one removes it.
  }
  ::unlinkat(base, name, AT_REMOVEDIR);
}

/// Removes the directories of leases that nobody has any more, such as of a test that was killed;
/// at most 64 in each base. Those of other users, who can make any number, and of living leases do
/// not count.
inline void remove_ended_socket_directories() {
  constexpr std::size_t most_removed = 64;
  constexpr std::size_t most_names = 16384;
  for (const std::string& each : socket_directory_bases()) {
    std::string why;
    const unique_fd base = open_base(each, why);
    if (!base) continue;
    std::vector<std::string> names;
    for_each_name(base.get(), ".", [&](int, const char* name) {
      if (is_socket_directory_name(name)) names.emplace_back(name);
      return names.size() < most_names;
    });
    std::size_t removed = 0;
    for (auto name = names.begin(); name != names.end() && removed < most_removed; ++name) {
      const opened_file directory =
          open_own(base.get(), name->c_str(), O_RDONLY | O_DIRECTORY, S_IFDIR);
      if (!directory || !lock_directory(directory.fd.get())) continue;
      remove_directory_in(base.get(), name->c_str(), directory.fd.get());
      ++removed;
    }
  }
}

/// Makes a private directory in the first base that will do; otherwise `why` names each base and
/// what is wrong with it.
inline std::error_code make_socket_directory(socket_directory& made, std::string& why) {
  std::error_code error;
  for (const std::string& each : socket_directory_bases()) {
    std::string flaw;
    const unique_fd base = open_base(each, flaw);
    error = base ? make_directory_in(base.get(), each, made) : errc::untrusted_file;
    if (!error) return {};
    if (flaw.empty()) flaw = error.message();
    why += (why.empty() ? "" : "; ") + each + ": " + flaw;
  }
  return error;
}

/// Ends a lease of this process: removes its directory. A child that has inherited the lock keeps
/// the lock only.
inline void remove_socket_directory(const socket_directory& made) noexcept {
  try {
    const auto [folder, name] = split_path(made.path);
    const unique_fd base{
        sys.openat(AT_FDCWD, folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY)};
    if (!base) return;
    // Not by the lock's descriptor, which the program may have closed.
    const opened_file directory =
        open_own(base.get(), name.c_str(), O_RDONLY | O_DIRECTORY, S_IFDIR);
    if (directory) remove_directory_in(base.get(), name.c_str(), directory.fd.get());
  } catch (...) {
    // Out of memory: a later lease removes it.
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
