// SPDX-License-Identifier: BSL-1.0
#include "../files.hpp"

#include <cerrno>
#include <ctime>
#include <system_error>

#include <tidewait/detail/os_calls.hpp>

#include "system.hpp"

namespace tidewait::command {

const char* const directory_separators = "/\\";

/// The access list is that of the directory, which by default belongs to the user. Where it does
/// not, those who read and append (`append_own_file`) refuse the file.
std::string make_temporary(std::string_view name) {
  std::wstring folder(MAX_PATH + 2, L'\0');
  const DWORD size = ::GetTempPathW(static_cast<DWORD>(folder.size()), folder.data());
  if (size == 0 || size >= folder.size())
    throw std::system_error{detail::last_error(), "looking for temporary files (GetTempPath)"};
  folder.resize(size);  // it ends in a backslash
  const std::wstring path =
      folder + detail::to_wide(name) + L'-' + std::to_wstring(detail::entropy());
  const detail::unique_fd file = detail::owned(::CreateFileW(
      path.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file) throw std::system_error{detail::last_error(), "making " + detail::to_utf8(path)};
  return detail::to_utf8(path);
}

void remove_file(const std::string& path) noexcept {
  try {
    ::DeleteFileW(detail::to_wide(path).c_str());
  } catch (...) {
    // No memory: the file stays.
  }
}

bool file_exists(const std::string& path) noexcept {
  try {
    return ::GetFileAttributesW(detail::to_wide(path).c_str()) != INVALID_FILE_ATTRIBUTES;
  } catch (...) {
    return false;  // no memory
  }
}

file_reader::file_reader(const std::string& path, std::uint64_t most)
    : file_{detail::owned(::CreateFileW(detail::to_wide(path).c_str(), GENERIC_READ,
                                        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                        nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr))} {
  LARGE_INTEGER size{};
  if (!file_) {
    error_ = detail::last_error().message();
  } else if (::GetFileType(detail::handle_of(file_.get())) != FILE_TYPE_DISK) {
    error_ = "it is not a regular file";
  } else if (::GetFileSizeEx(detail::handle_of(file_.get()), &size) == 0) {
    error_ = detail::last_error().message();
  } else if (static_cast<std::uint64_t>(size.QuadPart) > most) {
    skipped_ = static_cast<std::uint64_t>(size.QuadPart) - most;
    LARGE_INTEGER start{};
    start.QuadPart = static_cast<LONGLONG>(skipped_);
    if (::SetFilePointerEx(detail::handle_of(file_.get()), start, nullptr, FILE_BEGIN) == 0)
      error_ = detail::last_error().message();
  }
}

std::string_view file_reader::next(std::string& room) {
  DWORD got = 0;
  if (!error_.empty()) return {};
  if (::ReadFile(detail::handle_of(file_.get()), room.data(), static_cast<DWORD>(room.size()), &got,
                 nullptr) == 0) {
    error_ = detail::last_error().message();
    got = 0;
  }
  return {room.data(), got};
}

bool to_calendar(std::time_t seconds, std::tm& parts) noexcept {
  return ::gmtime_s(&parts, &seconds) == 0;
}

std::uint16_t own_errno(std::uint16_t of_linux) noexcept {
  switch (of_linux) {  // asm-generic/errno.h; those below 35 are the same
    case 97: return EAFNOSUPPORT;
    case 98: return EADDRINUSE;
    case 99: return EADDRNOTAVAIL;
    case 100: return ENETDOWN;
    case 101: return ENETUNREACH;
    default: return of_linux;
  }
}

}  // namespace tidewait::command
