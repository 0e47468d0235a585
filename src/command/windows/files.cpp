// SPDX-License-Identifier: BSL-1.0
#include "../files.hpp"

#include <system_error>

#include <tidewait/detail/os.hpp>

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

}  // namespace tidewait::command
