// SPDX-License-Identifier: BSL-1.0
#include "system.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>

#include <tidewait/detail/text.hpp>
#include <tidewait/detail/windows/clocks.hpp>
#include <tidewait/detail/windows/self.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

std::error_code error_of(DWORD code) noexcept {
  const auto as = [](std::errc value) { return std::make_error_code(value); };
  switch (code) {
    case ERROR_SUCCESS: return {};
    case WSAEADDRINUSE: return as(std::errc::address_in_use);
    case WSAEACCES:
    case ERROR_ACCESS_DENIED: return as(std::errc::permission_denied);
    case WSAEADDRNOTAVAIL: return as(std::errc::address_not_available);
    case WSAEAFNOSUPPORT: return as(std::errc::address_family_not_supported);
    case WSAEINVAL:
    case ERROR_INVALID_PARAMETER: return as(std::errc::invalid_argument);
    case WSAEMFILE:
    case ERROR_TOO_MANY_OPEN_FILES: return as(std::errc::too_many_files_open);
    case WSAENOBUFS: return as(std::errc::no_buffer_space);
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY: return as(std::errc::not_enough_memory);
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return as(std::errc::no_such_file_or_directory);
    case ERROR_DISK_FULL: return as(std::errc::no_space_on_device);
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA: return as(std::errc::broken_pipe);
    default: return {static_cast<int>(code), std::system_category()};
  }
}

std::error_code last_error() noexcept { return error_of(::GetLastError()); }

std::error_code start_winsock() noexcept {
  static const int refused = [] {
    WSADATA data{};
    return ::WSAStartup(MAKEWORD(2, 2), &data);
  }();
  return error_of(static_cast<DWORD>(refused));
}

std::string to_utf8(std::wstring_view text) {
  if (text.empty()) return {};
  const int length = static_cast<int>(std::min<std::size_t>(text.size(), 0x100000));
  const int size =
      ::WideCharToMultiByte(CP_UTF8, 0, text.data(), length, nullptr, 0, nullptr, nullptr);
  std::string utf8(static_cast<std::size_t>(std::max(size, 0)), '\0');
  ::WideCharToMultiByte(CP_UTF8, 0, text.data(), length, utf8.data(), size, nullptr, nullptr);
  return utf8;
}

std::wstring to_wide(std::string_view utf8) {
  if (utf8.empty()) return {};
  const int length = static_cast<int>(std::min<std::size_t>(utf8.size(), 0x100000));
  const int size = ::MultiByteToWideChar(CP_UTF8, 0, utf8.data(), length, nullptr, 0);
  std::wstring text(static_cast<std::size_t>(std::max(size, 0)), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, utf8.data(), length, text.data(), size);
  return text;
}

void close_handle(native_handle handle, handle_kind kind) noexcept {
  const DWORD kept = ::GetLastError();
  if (kind == handle_kind::socket) {
    ::closesocket(handle);
  } else {
    ::CloseHandle(handle_of(handle));
  }
  ::SetLastError(kept);
}

bool is_open_handle(native_handle handle) noexcept {
  const DWORD kept = ::GetLastError();
  DWORD flags = 0;
  const bool open = ::GetHandleInformation(handle_of(handle), &flags) != 0;
  ::SetLastError(kept);
  return open;
}

const std::string& host_name() {
  static const std::string& name = *new std::string{[] {
    std::wstring text(256, L'\0');
    auto size = static_cast<DWORD>(text.size());
    if (::GetComputerNameExW(ComputerNameDnsHostname, text.data(), &size) == 0) size = 0;
    text.resize(size);
    return sanitised(to_utf8(text));
  }()};
  return name;
}

int process_id() noexcept { return static_cast<int>(::GetCurrentProcessId()); }

const void* this_thread() noexcept {
  return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(::GetCurrentThreadId()));
}

const char* environment(const char* name) noexcept {
  try {
    const std::wstring wide = to_wide(name);
    std::wstring value(256, L'\0');
    for (;;) {
      ::SetLastError(ERROR_SUCCESS);
      const DWORD size =
          ::GetEnvironmentVariableW(wide.c_str(), value.data(), static_cast<DWORD>(value.size()));
      if (size == 0 && ::GetLastError() != ERROR_SUCCESS) return nullptr;
      const bool whole = size < value.size();
      value.resize(size);
      if (whole) break;
    }
    // The system gives out a copy; ours stay as long as the process, one of each value.
    static std::mutex mutex;
    static std::set<std::string>& values = *new std::set<std::string>;
    const std::lock_guard hold{mutex};
    return values.insert(to_utf8(value)).first->c_str();
  } catch (...) {
    return nullptr;  // no memory
  }
}

std::uint64_t boot_time() noexcept { return wall_clock() - ::GetTickCount64(); }

std::uint64_t uptime() noexcept { return ::GetTickCount64() * 1000; }

void sleep_for(std::chrono::milliseconds time) noexcept {
  ::Sleep(static_cast<DWORD>(std::max<std::chrono::milliseconds::rep>(time.count(), 0)));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
