// SPDX-License-Identifier: BSL-1.0
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <system_error>

#include <tidewait/detail/linux/entropy.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait::command {

const char* const directory_separators = "/";

std::string make_temporary(std::string_view name) {
  const char* const folder = detail::environment("TMPDIR");
  std::string path{folder == nullptr || *folder != '/' ? "/tmp" : folder};
  path.append("/").append(name).append("-").append(detail::random_name());
  const detail::unique_fd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) throw std::system_error{detail::last_error(), "making " + path};
  return path;
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
