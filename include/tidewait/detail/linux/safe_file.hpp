// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/linux/withheld_signal.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Files and directories in places to which others may write, too. None is opened through a
/// symbolic link that somebody else may have put there, none keeps us waiting, and none is believed
/// that is not this user's own.

/// A file or directory that was opened, or why not. `error` is `errc::untrusted_file` if it is
/// there and is not what it should be; then `why` says in words what is wrong with it.
struct opened_file {
  unique_fd fd{};
  std::error_code error{};
  std::string why{};

  explicit operator bool() const noexcept { return static_cast<bool>(fd); }
};

/// "it belongs to uid 1000": why this file is not to be trusted; empty if it is. A file is to be
/// regular and have one name; it and a directory are to be this user's own, and nobody else may
/// write to them.
inline std::string why_untrusted(const struct stat& info, mode_t kind) {
  if (S_ISLNK(info.st_mode)) return "it is a symbolic link";
  if ((info.st_mode & S_IFMT) != kind)
    return kind == S_IFDIR ? "it is not a directory" : "it is not a regular file";
  if (info.st_uid != ::geteuid()) return "it belongs to uid " + std::to_string(info.st_uid);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "other users may write to it";
  if (kind == S_IFREG && info.st_nlink > 1) return "it has a second name (a hard link)";
  return {};
}

/// Opens the last part of `path` itself, never what a symbolic link there leads to, and only if it
/// is to be trusted: to open a FIFO or a device may already do something. The directories on the
/// way to it are not checked. Made with mode 0644, whatever the umask lets others write. `at`: the
/// directory that a relative path starts from.
inline opened_file open_own(int at, const char* path, int flags, mode_t kind) {
  opened_file opened;
  const auto check = [&](int failed, const struct stat& info) {
    if (failed != 0) {
      opened.error = last_error();
    } else if (opened.why = why_untrusted(info, kind); !opened.why.empty()) {
      opened.error = errc::untrusted_file;
    }
  };
  struct stat info {};
  check(::fstatat(at, path, &info, AT_SYMLINK_NOFOLLOW), info);
  const bool may_make =
      (flags & O_CREAT) != 0 && opened.error == std::errc::no_such_file_or_directory;
  if (opened.error && !may_make) return opened;
  opened.error = {};
  opened.fd =
      unique_fd{sys.openat(at, path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644)};
  // Somebody may have put something else there meanwhile.
  check(opened.fd ? ::fstat(opened.fd.get(), &info) : -1, info);
  if (opened.error) opened.fd.reset();
  return opened;
}

/// Likewise a directory. Through "link/" the kernel would follow a symbolic link all the same.
inline opened_file open_own_directory(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  opened_file opened = open_own(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, S_IFDIR);
  struct stat info {};
  if (opened.error == std::errc::not_a_directory &&
      ::fstatat(AT_FDCWD, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode)) {
    opened.error = errc::untrusted_file;
    opened.why = "it is a symbolic link";
  }
  return opened;
}

/// "it belongs to uid 1000", or "Permission denied".
inline std::string to_text(const opened_file& refused) {
  return refused.why.empty() ? refused.error.message() : refused.why;
}

/// Writes all of `text`, across signals. Where the descriptor does not block, waits at most
/// `longest` for room. EFBIG: the process may make no file that large (RLIMIT_FSIZE), and goes on.
inline std::error_code write_all(
    int fd, std::string_view text,
    std::chrono::milliseconds longest = std::chrono::milliseconds::max()) noexcept {
  const withheld_signal too_large{SIGXFSZ};
  while (!text.empty()) {
    const ssize_t written = sys.write(fd, text.data(), text.size());
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN) {
      const std::error_code error = last_error();
      if (error == std::errc::file_too_large) too_large.take();
      return error;
    }
    pollfd room{fd, POLLOUT, 0};
    const bool for_ever = longest == std::chrono::milliseconds::max();
    const int ready = ::poll(&room, 1, for_ever ? -1 : static_cast<int>(longest.count()));
    if (ready == 0) return std::make_error_code(std::errc::timed_out);
    if (ready < 0 && errno != EINTR) return last_error();
  }
  return {};
}

/// Reads a file of this user's; of one that is larger than `most` bytes the last part of it, from
/// the first line on that is whole.
inline opened_file read_own_file(const char* path, std::string& text, std::size_t most) {
  text.clear();
  opened_file file = open_own(AT_FDCWD, path, O_RDONLY, S_IFREG);
  if (!file) return file;
  struct stat info {};
  if (::fstat(file.fd.get(), &info) != 0) info.st_size = 0;
  const bool is_long = static_cast<std::uint64_t>(info.st_size) > most;
  // From the byte before on: if that ends a line, the next one is whole.
  if (is_long && ::lseek(file.fd.get(), info.st_size - static_cast<off_t>(most) - 1, SEEK_SET) < 0)
    file.error = last_error();
  if (!file.error) file.error = read_rest(file.fd.get(), text, most + 1);
  // It grows while it is read: what is new is left for the next time.
  if (file.error == std::errc::file_too_large) file.error = {};
  if (is_long) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return file;
}

/// Renames an open file that has grown long to "PATH.1", in place of an older one. False if it was
/// not done, or somebody else has done it meanwhile: what is written to `fd` is in "PATH.1" then.
inline bool put_aside(const char* path, int fd) {
  struct stat opened {};
  struct stat there {};
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &opened) == 0 &&
         ::fstatat(AT_FDCWD, path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         opened.st_dev == there.st_dev && opened.st_ino == there.st_ino &&
         ::rename(path, (std::string{path} + ".1").c_str()) == 0;
}

/// A file that is appended to has at most about that many bytes; as many are kept beside it.
inline constexpr std::size_t most_of_an_own_file = std::size_t{32} << 20U;

/// Appends to a file of this user's, made if it is not there, in one write: O_APPEND puts what
/// several processes write one after the other (open(2)). A last line without its end, as a full
/// disk leaves, is ended first. One that has more than `most` bytes is put aside.
inline opened_file append_own_file(const char* path, std::string_view text,
                                   std::size_t most = most_of_an_own_file) {
  const auto open = [path] {
    return open_own(AT_FDCWD, path, O_RDWR | O_APPEND | O_CREAT, S_IFREG);
  };
  opened_file file = open();
  if (!file) return file;
  struct stat info {};
  char last = '\n';
  if (::fstat(file.fd.get(), &info) == 0 && static_cast<std::size_t>(info.st_size) > most &&
      put_aside(path, file.fd.get())) {
    file = open();
    if (!file) return file;
  }
  if (::fstat(file.fd.get(), &info) == 0 && info.st_size > 0 &&
      ::pread(file.fd.get(), &last, 1, info.st_size - 1) < 0) {
    last = '\n';
  }
  file.error = last == '\n' ? write_all(file.fd.get(), text)
                            : write_all(file.fd.get(), '\n' + std::string{text});
  return file;
}

/// The directory part of a path, and its last part.
inline std::pair<std::string, std::string> split_path(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// Writes a file of that directory such that it is there completely or not at all: a file of the
/// name `temporary`, which is not there, then rename(2), which takes the place of a symbolic link
/// and does not follow it.
inline std::error_code replace_file_in(int directory, const std::string& name,
                                       std::string_view text, mode_t mode,
                                       const std::string& temporary) {
  unique_fd file{sys.openat(directory, temporary.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
  if (!file) return last_error();
  std::error_code error = write_all(file.get(), text);
  // Some file systems find out as late as here that they are full.
  if (!error && (::fsync(file.get()) != 0 || ::close(file.release()) != 0)) error = last_error();
  if (!error && ::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    error = last_error();
  }
  if (error) ::unlinkat(directory, temporary.c_str(), 0);
  return error;
}

/// The same through a file of a random name.
inline std::error_code replace_file_in(int directory, const std::string& name,
                                       std::string_view text, mode_t mode) {
  return replace_file_in(directory, name, text, mode,
                         '.' + name.substr(0, 200) + '.' + random_name());
}

/// Likewise for a path.
/// What is there and is no regular file, such as a FIFO that somebody reads, is written in place;
/// only where the name, which may be a symbolic link, is this user's own or root's. So is
/// /dev/stdout, also where it is a regular file: that is appended to.
inline std::error_code replace_file(const std::string& path, std::string_view text) {
  constexpr std::chrono::seconds for_a_reader{10};
  const auto [folder, name] = split_path(path);
  const unique_fd directory{sys.openat(AT_FDCWD, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return last_error();
  struct stat there {};
  struct stat link {};
  const bool exists = ::fstatat(directory.get(), name.c_str(), &there, 0) == 0 &&
                      ::fstatat(directory.get(), name.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && S_ISDIR(there.st_mode)) return std::make_error_code(std::errc::is_a_directory);
  char target[64];
  const ssize_t length = exists && S_ISLNK(link.st_mode)
                             ? sys.readlinkat(directory.get(), name.c_str(), target, sizeof target)
                             : 0;
  const bool is_stream =
      length > 0 &&
      std::string_view{target, static_cast<std::size_t>(length)}.rfind("/proc/self/fd/", 0) == 0;
  if (exists && (!S_ISREG(there.st_mode) || is_stream)) {
    if (link.st_uid != ::geteuid() && link.st_uid != 0) return errc::untrusted_file;
    const unique_fd file{sys.openat(directory.get(), name.c_str(),
                                    O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    if (!file) return last_error();
    struct stat opened {};
    const bool same = ::fstat(file.get(), &opened) == 0 && opened.st_dev == there.st_dev &&
                      opened.st_ino == there.st_ino;
    return same ? write_all(file.get(), text, for_a_reader) : errc::untrusted_file;
  }
  return replace_file_in(directory.get(), name, text, 0666);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
