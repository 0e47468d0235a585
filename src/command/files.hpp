// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include <tidewait/detail/os_handles.hpp>

namespace tidewait::command {

// What each system has of its own for paths, files, times and errors.

/// What divides the parts of a path.
extern const char* const directory_separators;

/// "build/net_tests" → "net_tests".
inline std::string_view last_part(std::string_view path) noexcept {
  const auto slash = path.find_last_of(directory_separators);
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// Makes an empty file that no other user may read or write, in the directory of temporary files:
/// `name` and a number that nobody can guess. Returns its path. Throws `std::system_error`.
/// On Linux it is locked until this process ends. What ended processes have left of such files, and
/// of those whose names go on behind theirs, is removed first.
std::string make_temporary(std::string_view name);

void remove_file(const std::string& path) noexcept;

bool file_exists(const std::string& path) noexcept;

/// A regular file that is read part by part.
class file_reader {
 public:
  /// Of one that has more than `most` bytes, the last ones.
  file_reader(const std::string& path, std::uint64_t most);

  /// How many bytes at its front are left out.
  std::uint64_t skipped() const noexcept { return skipped_; }
  /// Why it cannot be read, in words; empty if it can.
  const std::string& error() const noexcept { return error_; }
  /// The next bytes, in `room`; none at its end, and where it cannot be read.
  std::string_view next(std::string& room);

 private:
  detail::unique_fd file_{};
  std::uint64_t skipped_ = 0;
  std::string error_{};
};

/// The date and time in UTC; false if the calendar does not go that far.
bool to_calendar(std::time_t seconds, std::tm& parts) noexcept;

/// The errno of this system for one of Linux: a journal has errors of calls from there only.
std::uint16_t own_errno(std::uint16_t of_linux) noexcept;

}  // namespace tidewait::command
