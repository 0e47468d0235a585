// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <system_error>

#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Reads a file that the user named, such as one of a repository. Any user may own it, and a
/// symbolic link may lead to it, but it must be a regular file of at most `most` bytes. A FIFO or a
/// device is refused at once.
inline std::error_code read_named_file(const char* path, std::string& text, std::size_t most) {
  text.clear();
  const unique_fd file{sys.openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0)};
  if (!file) return last_error();
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return last_error();
  if (S_ISDIR(info.st_mode)) return std::make_error_code(std::errc::is_a_directory);
  if (!S_ISREG(info.st_mode)) return std::make_error_code(std::errc::invalid_argument);
  return read_rest(file.get(), text, most);
}

/// Opens the file `name` and locks it against other edits. An edit puts a new file in its place
/// (`replace_file_in`), so a process that has waited for the lock of the old file opens the new
/// one.
inline unique_fd lock_named_file(int directory, const std::string& name, std::error_code& error) {
  constexpr std::chrono::seconds longest{20};
  constexpr int pause_ms = 2;
  const auto end = std::chrono::steady_clock::now() + longest;
  for (;;) {
    unique_fd file{sys.openat(directory, name.c_str(),
                              O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                              0666)};
    struct stat opened {};
    struct stat there {};
    if (!file || ::fstat(file.get(), &opened) != 0) {
      error = last_error();
      return {};
    }
    if (!S_ISREG(opened.st_mode)) {
      error = std::make_error_code(std::errc::invalid_argument);
      return {};
    }
    const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK && errno != EINTR) {
      error = last_error();
      return {};
    }
    if (locked && ::fstatat(directory, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        there.st_ino == opened.st_ino && there.st_dev == opened.st_dev) {
      error = {};
      return file;
    }
    if (std::chrono::steady_clock::now() > end) {
      error = std::make_error_code(std::errc::timed_out);
      return {};
    }
    if (!locked) ::poll(nullptr, 0, pause_ms);
  }
}

/// Replaces the text of a file that the user named by what `edit` makes of it, in one step, such
/// that edits of several processes follow one another. Made if it is not there; not through a
/// symbolic link. `edit` returns the new text, or the old one to leave the file alone.
inline std::error_code edit_named_file(const std::string& path, std::size_t most,
                                       const std::function<std::string(const std::string&)>& edit) {
  const auto [folder, name] = split_path(path);
  const unique_fd directory{sys.openat(AT_FDCWD, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return last_error();
  std::error_code error;
  const unique_fd lock = lock_named_file(directory.get(), name, error);
  if (!lock) return error;
  std::string before;
  error = read_rest(lock.get(), before, most);
  struct stat info {};
  if (!error && ::fstat(lock.get(), &info) != 0) error = last_error();
  if (!error) {
    // Under the lock nobody else edits: remove what a killed process has left.
    const std::string temporary = '.' + name.substr(0, 200) + ".tidewait";
    ::unlinkat(directory.get(), temporary.c_str(), 0);
    const std::string after = edit(before);
    if (after.size() > most) {
      error = std::make_error_code(std::errc::file_too_large);
    } else if (after != before) {
      error = replace_file_in(directory.get(), name, after, info.st_mode & 0777U, temporary);
    }
  }
  // Not by the close alone: a process that another thread has forked may have a copy.
  ::flock(lock.get(), LOCK_UN);
  return error;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
