// SPDX-License-Identifier: BSL-1.0
#include <climits>
#include <string>

#include <tidewait/detail/windows/job_process.hpp>
#include <tidewait/detail/windows/port_lock.hpp>

#include "system.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

std::wstring lock_name(protocol which, std::uint16_t port) {
  return L"Global\\tidewait/" + std::wstring{which == protocol::tcp ? L"tcp/" : L"udp/"} +
         std::to_wstring(port);
}

/// What NtQuerySemaphore fills in (SemaphoreBasicInformation).
struct semaphore_state {
  LONG count;
  LONG most;
};
using query_semaphore = LONG __stdcall(HANDLE, int, void*, ULONG, ULONG*);

constexpr DWORD may_query = 1;  // SEMAPHORE_QUERY_STATE

}  // namespace

// The names outlive the calls: what frees memory may change the last error.

std::error_code take_lock(protocol which, std::uint16_t port, native_handle& lock) {
  const std::wstring name = lock_name(which, port);
  ::SetLastError(ERROR_SUCCESS);
  unique_fd made = owned(::CreateSemaphoreW(nullptr, static_cast<LONG>(::GetCurrentProcessId()),
                                            LONG_MAX, name.c_str()));
  const DWORD said = ::GetLastError();
  // A lock of another user is there, and may not even be opened.
  if (said == ERROR_ALREADY_EXISTS || (!made && said == ERROR_ACCESS_DENIED))
    return std::make_error_code(std::errc::address_in_use);
  if (!made) return error_of(said);
  lock = made.release();
  return {};
}

unique_fd open_own_lock(protocol which, std::uint16_t port) {
  return owned(::OpenSemaphoreW(SYNCHRONIZE, FALSE, lock_name(which, port).c_str()));
}

std::optional<int> lock_holder(protocol which, std::uint16_t port) {
  const std::wstring name = lock_name(which, port);
  const unique_fd lock = owned(::OpenSemaphoreW(may_query, FALSE, name.c_str()));
  if (!lock) return ::GetLastError() == ERROR_FILE_NOT_FOUND ? std::nullopt : std::optional{0};
  auto* const query = find_in_ntdll<query_semaphore>("NtQuerySemaphore");
  semaphore_state state{};
  if (query == nullptr || query(handle_of(lock.get()), 0, &state, sizeof state, nullptr) != 0)
    return 0;
  return static_cast<int>(state.count);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
