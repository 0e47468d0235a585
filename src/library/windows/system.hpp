// SPDX-License-Identifier: BSL-1.0
#pragma once

// Private to the files beside it: what they share of the system's headers.

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
// clang-format off: after winsock2.h
#include <windows.h>
#include <ws2tcpip.h>
// clang-format on

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <tidewait/detail/windows/native_handle.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline HANDLE handle_of(native_handle handle) noexcept { return reinterpret_cast<HANDLE>(handle); }
inline native_handle number_of(HANDLE handle) noexcept {
  return reinterpret_cast<native_handle>(handle);
}

/// An object's handle that the function returned; null and INVALID_HANDLE_VALUE own nothing.
inline unique_fd owned(HANDLE handle) noexcept {
  if (handle == nullptr || handle == INVALID_HANDLE_VALUE) return {};
  return {number_of(handle), handle_kind::object};
}

/// GetLastError, in the terms of `std::errc` where there is one: the core asks for those.
std::error_code last_error() noexcept;
std::error_code error_of(DWORD code) noexcept;

/// Makes Winsock ready, once in a process.
std::error_code start_winsock() noexcept;

std::string to_utf8(std::wstring_view text);
std::wstring to_wide(std::string_view utf8);

/// A function of ntdll.dll, which has no import library for all; null if it is not there.
template <typename Function>
Function* find_in_ntdll(const char* name) noexcept {
  const HMODULE ntdll = ::GetModuleHandleW(L"ntdll.dll");
  // Over void(*)(): the compiler warns of a cast between two kinds of functions.
  return ntdll == nullptr ? nullptr
                          : reinterpret_cast<Function*>(
                                reinterpret_cast<void (*)()>(::GetProcAddress(ntdll, name)));
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
