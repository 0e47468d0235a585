// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <cstdint>
#include <vector>

#include <tidewait/detail/windows/own_file.hpp>
#include <tidewait/error.hpp>

#include "system.hpp"
// clang-format off: after windows.h
#include <aclapi.h>
#include <sddl.h>
// clang-format on

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

/// A SID that somebody else's memory holds, compared by value.
bool is_same(PSID a, PSID b) noexcept { return ::EqualSid(a, b) != 0; }

/// The users that may own the file and write to it: this one, the administrators and the system.
class trusted_users {
 public:
  trusted_users() {
    HANDLE token = nullptr;
    if (::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token) == 0) return;
    const unique_fd owner = owned(token);
    DWORD size = 0;
    ::GetTokenInformation(token, TokenUser, nullptr, 0, &size);
    user_.resize(size / sizeof user_.front() + 1);
    if (::GetTokenInformation(token, TokenUser, user_.data(), size, &size) == 0) user_.clear();
    add(WinBuiltinAdministratorsSid);
    add(WinLocalSystemSid);
    add(WinCreatorOwnerRightsSid);
  }

  bool contain(PSID who) const noexcept {
    if (user_.empty()) return false;
    if (is_same(reinterpret_cast<const TOKEN_USER*>(user_.data())->User.Sid, who)) return true;
    return std::any_of(others_.begin(), others_.end(), [&](const auto& each) {
      return is_same(const_cast<std::uint64_t*>(each.data()), who);
    });
  }

  /// All of them, the user first; none if the system does not tell who that is.
  std::vector<PSID> all() const {
    std::vector<PSID> sids;
    if (user_.empty()) return sids;
    sids.push_back(reinterpret_cast<const TOKEN_USER*>(user_.data())->User.Sid);
    for (const auto& each : others_) sids.push_back(const_cast<std::uint64_t*>(each.data()));
    return sids;
  }

 private:
  void add(WELL_KNOWN_SID_TYPE kind) {
    std::vector<std::uint64_t> place(SECURITY_MAX_SID_SIZE / sizeof(std::uint64_t) + 1);
    auto size = static_cast<DWORD>(place.size() * sizeof place.front());
    if (::CreateWellKnownSid(kind, nullptr, place.data(), &size) != 0)
      others_.push_back(std::move(place));
  }

  std::vector<std::uint64_t> user_;
  std::vector<std::vector<std::uint64_t>> others_;
};

/// What a new file is made with, so that nobody but these users has it. Without, the directory
/// decides, and many that were made under C:\ let every user write.
class private_access {
 public:
  explicit private_access(const trusted_users& users) {
    const std::vector<PSID> sids = users.all();
    std::size_t bytes = sizeof(ACL);
    for (const PSID each : sids) bytes += sizeof(ACCESS_ALLOWED_ACE) + ::GetLengthSid(each);
    list_.resize(bytes / sizeof list_.front() + 1);
    auto* const list = reinterpret_cast<ACL*>(list_.data());
    const auto size = static_cast<DWORD>(list_.size() * sizeof list_.front());
    whole_ = !sids.empty() && ::InitializeAcl(list, size, ACL_REVISION) != 0;
    for (const PSID each : sids)
      whole_ = whole_ && ::AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, each) != 0;
    whole_ =
        whole_ && ::InitializeSecurityDescriptor(&descriptor_, SECURITY_DESCRIPTOR_REVISION) != 0 &&
        ::SetSecurityDescriptorDacl(&descriptor_, TRUE, list, FALSE) != 0 &&
        ::SetSecurityDescriptorControl(&descriptor_, SE_DACL_PROTECTED, SE_DACL_PROTECTED) != 0;
    attributes_ = {sizeof attributes_, &descriptor_, FALSE};
  }
  private_access(const private_access&) = delete;
  private_access& operator=(const private_access&) = delete;

  /// For a file that is made; null, for what the directory says, if there is no such list.
  SECURITY_ATTRIBUTES* get() noexcept { return whole_ ? &attributes_ : nullptr; }

 private:
  std::vector<std::uint64_t> list_{};
  SECURITY_DESCRIPTOR descriptor_{};
  SECURITY_ATTRIBUTES attributes_{};
  bool whole_ = false;
};

/// Whether an entry of an access list lets somebody write.
bool grants_writing(const ACE_HEADER& entry, PSID& who) noexcept {
  constexpr DWORD writes = FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC | WRITE_OWNER |
                           GENERIC_WRITE | GENERIC_ALL;
  if (entry.AceType != ACCESS_ALLOWED_ACE_TYPE || (entry.AceFlags & INHERIT_ONLY_ACE) != 0)
    return false;
  // The SID is where the structure has its first word.
  auto& allowed = reinterpret_cast<const ACCESS_ALLOWED_ACE&>(entry);
  who = const_cast<DWORD*>(&allowed.SidStart);
  return (allowed.Mask & writes) != 0;
}

/// Why this file is not to be trusted; empty if it is.
std::string why_untrusted(const unique_fd& file, const trusted_users& trusted) {
  BY_HANDLE_FILE_INFORMATION info{};
  if (::GetFileType(handle_of(file.get())) != FILE_TYPE_DISK ||
      ::GetFileInformationByHandle(handle_of(file.get()), &info) == 0 ||
      (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    return "it is not a regular file";
  }
  if ((info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return "it is a symbolic link";
  if (info.nNumberOfLinks > 1) return "it has a second name (a hard link)";
  PSID owner = nullptr;
  PACL list = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  if (::GetSecurityInfo(handle_of(file.get()), SE_FILE_OBJECT,
                        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, nullptr,
                        &list, nullptr, &descriptor) != ERROR_SUCCESS) {
    return "its owner and its access list cannot be read";
  }
  std::string why;
  if (owner == nullptr || !trusted.contain(owner)) why = "it belongs to another user";
  if (why.empty() && list == nullptr) why = "other users may write to it";
  for (DWORD i = 0; why.empty() && i < list->AceCount; ++i) {
    void* entry = nullptr;
    PSID who = nullptr;
    if (::GetAce(list, i, &entry) != 0 && grants_writing(*static_cast<ACE_HEADER*>(entry), who) &&
        !trusted.contain(who)) {
      why = "other users may write to it";
    }
  }
  ::LocalFree(descriptor);
  return why;
}

unique_fd open_own(const char* path, DWORD access, DWORD disposition, opened_file& result) {
  const trusted_users trusted;
  private_access alone{trusted};
  // Outlives the call: what frees memory may change the last error.
  const std::wstring name = to_wide(path);
  unique_fd file = owned(::CreateFileW(
      name.c_str(), access | READ_CONTROL, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
      alone.get(), disposition, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
  if (!file) {
    result.error = last_error();
    return file;
  }
  result.why = why_untrusted(file, trusted);
  if (result.why.empty()) return file;
  result.error = errc::untrusted_file;
  return {};
}

std::error_code read_at(const unique_fd& file, std::uint64_t from, std::string& text) {
  std::size_t used = 0;
  while (used < text.size()) {
    OVERLAPPED place{};
    place.Offset = static_cast<DWORD>((from + used) & 0xffffffffU);
    place.OffsetHigh = static_cast<DWORD>((from + used) >> 32U);
    DWORD got = 0;
    if (::ReadFile(handle_of(file.get()), text.data() + used,
                   static_cast<DWORD>(text.size() - used), &got, &place) == 0) {
      if (::GetLastError() != ERROR_HANDLE_EOF) return last_error();
      got = 0;
    }
    if (got == 0) break;
    used += got;
  }
  text.resize(used);
  return {};
}

std::uint64_t size_of(const unique_fd& file) noexcept {
  LARGE_INTEGER size{};
  return ::GetFileSizeEx(handle_of(file.get()), &size) == 0
             ? 0
             : static_cast<std::uint64_t>(size.QuadPart);
}

}  // namespace

opened_file read_own_file(const char* path, std::string& text, std::size_t most) {
  text.clear();
  opened_file result;
  const unique_fd file = open_own(path, GENERIC_READ, OPEN_EXISTING, result);
  if (!file) return result;
  const std::uint64_t size = size_of(file);
  const bool is_long = size > most;
  // From the byte before on: if that ends a line, the next one is whole.
  const std::uint64_t from = is_long ? size - most - 1 : 0;
  text.resize(static_cast<std::size_t>(size - from));
  result.error = read_at(file, from, text);
  if (is_long && !text.empty()) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return result;
}

opened_file append_own_file(const char* path, std::string_view text) {
  opened_file result;
  // Without the right to write elsewhere than at the end, the system appends each write whole.
  const unique_fd file =
      open_own(path, FILE_APPEND_DATA | FILE_READ_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
               OPEN_ALWAYS, result);
  if (!file) return result;
  const std::uint64_t size = size_of(file);
  std::string last(size == 0 ? 0 : 1, '\n');
  if (size != 0 && read_at(file, size - 1, last)) last = "\n";
  const bool torn = !last.empty() && last != "\n";
  const std::string whole = (torn ? "\n" : "") + std::string{text};
  DWORD written = 0;
  if (::WriteFile(handle_of(file.get()), whole.data(), static_cast<DWORD>(whole.size()), &written,
                  nullptr) == 0) {
    result.error = last_error();
  } else if (written != whole.size()) {
    result.error = std::make_error_code(std::errc::no_space_on_device);
  }
  return result;
}

std::error_code read_named_file(const char* path, std::string& text, std::size_t most) {
  text.clear();
  const std::wstring name = to_wide(path);
  const DWORD attributes = ::GetFileAttributesW(name.c_str());
  if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0)
    return std::make_error_code(std::errc::is_a_directory);
  const unique_fd file = owned(::CreateFileW(
      name.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
      OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file) return last_error();
  if (::GetFileType(handle_of(file.get())) != FILE_TYPE_DISK)
    return std::make_error_code(std::errc::invalid_argument);
  const std::uint64_t size = size_of(file);
  if (size > most) return std::make_error_code(std::errc::file_too_large);
  text.resize(static_cast<std::size_t>(size));
  return read_at(file, 0, text);
}

std::error_code edit_named_file(const std::string& path, std::size_t most,
                                const std::function<std::string(const std::string&)>& edit) {
  // Nobody else may have it open to write meanwhile: that is the lock.
  constexpr int most_tries = 2000;
  constexpr DWORD pause_ms = 10;
  const std::wstring name = to_wide(path);
  unique_fd file;
  for (int i = 0; !file; ++i) {
    file = owned(::CreateFileW(name.c_str(), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, nullptr,
                               OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr));
    if (file) break;
    if (::GetLastError() != ERROR_SHARING_VIOLATION || i == most_tries) return last_error();
    ::Sleep(pause_ms);
  }
  if (::GetFileType(handle_of(file.get())) != FILE_TYPE_DISK)
    return std::make_error_code(std::errc::invalid_argument);
  const std::uint64_t size = size_of(file);
  if (size > most) return std::make_error_code(std::errc::file_too_large);
  std::string before(static_cast<std::size_t>(size), '\0');
  if (const std::error_code error = read_at(file, 0, before)) return error;
  const std::string after = edit(before);
  if (after.size() > most) return std::make_error_code(std::errc::file_too_large);
  if (after == before) return {};
  OVERLAPPED start{};
  DWORD written = 0;
  LARGE_INTEGER end{};
  end.QuadPart = static_cast<LONGLONG>(after.size());
  if (::WriteFile(handle_of(file.get()), after.data(), static_cast<DWORD>(after.size()), &written,
                  &start) == 0 ||
      ::SetFilePointerEx(handle_of(file.get()), end, nullptr, FILE_BEGIN) == 0 ||
      ::SetEndOfFile(handle_of(file.get())) == 0) {
    return last_error();
  }
  return {};
}

std::string absolute_path(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.front() == '\\' || path.find(':') == 1)
    return path;
  const DWORD room = ::GetCurrentDirectoryW(0, nullptr);
  std::wstring here(room, L'\0');
  const DWORD size = ::GetCurrentDirectoryW(room, here.data());
  if (size == 0 || size >= room) return {};
  here.resize(size);
  return to_utf8(here) + '\\' + path;
}

std::error_code replace_file(const std::string& path, std::string_view text) {
  const std::wstring name = to_wide(path);
  const std::wstring temporary = name + L'.' + std::to_wstring(::GetCurrentProcessId()) + L".new";
  unique_fd file = owned(::CreateFileW(temporary.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS,
                                       FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file) return last_error();
  std::error_code error;
  DWORD written = 0;
  if (text.size() > MAXDWORD ||
      ::WriteFile(handle_of(file.get()), text.data(), static_cast<DWORD>(text.size()), &written,
                  nullptr) == 0) {
    error = text.size() > MAXDWORD ? std::make_error_code(std::errc::file_too_large) : last_error();
  }
  file.reset();
  if (!error && ::MoveFileExW(temporary.c_str(), name.c_str(), MOVEFILE_REPLACE_EXISTING) == 0)
    error = last_error();
  if (error) ::DeleteFileW(temporary.c_str());
  return error;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
