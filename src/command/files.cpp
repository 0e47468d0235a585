// SPDX-License-Identifier: BSL-1.0
#include "files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

const char* const directory_separators = "/";

namespace {

/// Removes the temporary files of that name that nobody holds any more, such as those of a launcher
/// that was killed, with all whose names go on after theirs. Of a large directory it looks at the
/// first names only: each run pays for it.
void remove_temporaries(int folder, const std::string& name) {
  constexpr std::size_t digits = 16;  // random_name()
  constexpr std::size_t most_names = 2048;
  constexpr std::size_t most_removed = 64;
  const std::string prefix = name + '-';
  std::map<std::string, std::vector<std::string>> found;
  std::size_t count = 0;
  detail::for_each_name(folder, ".", [&](int, const char* each) {
    const std::string_view file{each};
    if (file.size() >= prefix.size() + digits && file.substr(0, prefix.size()) == prefix)
      found[std::string{file.substr(0, prefix.size() + digits)}].emplace_back(file);
    return ++count < most_names;
  });
  std::size_t removed = 0;
  for (const auto& [temporary, files] : found) {
    const detail::opened_file held = detail::open_own(folder, temporary.c_str(), O_RDONLY, S_IFREG);
    const bool is_gone = held.error == std::errc::no_such_file_or_directory;
    if (!is_gone && (!held || ::flock(held.fd.get(), LOCK_EX | LOCK_NB) != 0)) continue;
    // It goes last: what is beside it is known by it.
    for (auto each = files.rbegin(); each != files.rend(); ++each) {
      if (*each != temporary && !detail::open_own(folder, each->c_str(), O_RDONLY, S_IFREG))
        continue;
      if (::unlinkat(folder, each->c_str(), 0) == 0) ++removed;
    }
    if (removed >= most_removed) return;
  }
}

/// Locks a file that was made just now. False if who removes temporary files came before. Where the
/// file system has no locks, nobody removes them.
bool lock_new(int file) {
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  struct stat info {};
  return ::fstat(file, &info) != 0 || info.st_nlink != 0;
}

}  // namespace

std::string make_temporary(std::string_view name) {
  static std::vector<detail::unique_fd> held;
  const char* const variable = detail::environment("TMPDIR");
  const std::string folder{variable == nullptr || *variable != '/' ? "/tmp" : variable};
  const detail::unique_fd directory{
      detail::sys.openat(AT_FDCWD, folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory) remove_temporaries(directory.get(), std::string{name});
  for (;;) {
    std::string path = folder;
    path.append("/").append(name).append("-").append(detail::random_name());
    detail::unique_fd file{
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) throw std::system_error{detail::last_error(), "making " + path};
    if (!lock_new(file.get())) continue;
    held.push_back(std::move(file));
    return path;
  }
}

void remove_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

bool file_exists(const std::string& path) noexcept { return ::access(path.c_str(), F_OK) == 0; }

file_reader::file_reader(const std::string& path, std::uint64_t most)
    : file_{detail::sys.openat(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                               0)} {
  struct stat info {};
  if (!file_ || ::fstat(file_.get(), &info) != 0) {
    error_ = detail::last_error().message();
  } else if (!S_ISREG(info.st_mode)) {
    error_ = "it is not a regular file";
  } else if (const auto size = static_cast<std::uint64_t>(info.st_size); size > most) {
    skipped_ = size - most;
    if (::lseek(file_.get(), static_cast<off_t>(skipped_), SEEK_SET) < 0)
      error_ = detail::last_error().message();
  }
}

std::string_view file_reader::next(std::string& room) {
  if (!error_.empty()) return {};
  ssize_t got = 0;
  do {
    got = ::read(file_.get(), room.data(), room.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) error_ = detail::last_error().message();
  return {room.data(), static_cast<std::size_t>(got < 0 ? 0 : got)};
}

bool to_calendar(std::time_t seconds, std::tm& parts) noexcept {
  return ::gmtime_r(&seconds, &parts) != nullptr;
}

std::uint16_t own_errno(std::uint16_t of_linux) noexcept { return of_linux; }

}  // namespace tidewait::command
