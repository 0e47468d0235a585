// SPDX-License-Identifier: BSL-1.0
#include <new>
#include <utility>

#include <tidewait/detail/windows/process_state.hpp>
#include <tidewait/detail/windows/run_marker.hpp>
#include <tidewait/detail/windows/self.hpp>

#include "system.hpp"
// clang-format off: after windows.h
#include <ntsecapi.h>
// clang-format on

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

std::wstring local_name(std::string_view name, int number) {
  return L"Local\\" + to_wide(name) + L'-' + std::to_wstring(::GetCurrentProcessId()) + L'-' +
         std::to_wstring(number);
}

/// A mutex of this process alone, but of all its libraries. Never closed.
HANDLE process_mutex() noexcept {
  static const HANDLE only =
      ::CreateMutexW(nullptr, FALSE, local_name("tidewait-process", 0).c_str());
  return only;
}

std::string hexadecimal(std::uint64_t bits) {
  std::string text;
  for (int i = 0; i < 16; ++i, bits >>= 4U) text += "0123456789abcdef"[bits & 15U];
  return text;
}

/// The mark of this run, and whether the environment has it.
struct mark_state {
  static constexpr const char* name = "tidewait-mark";
  meeting_point* met = nullptr;
  std::string id = hexadecimal(entropy());
  bool shown = false;
};

}  // namespace

void named_mapping::lock() noexcept {
  if (process_mutex() != nullptr) ::WaitForSingleObject(process_mutex(), INFINITE);
}
void named_mapping::unlock() noexcept {
  if (process_mutex() != nullptr) ::ReleaseMutex(process_mutex());
}

meeting_point* named_mapping::find(std::string_view name, int number) {
  const unique_fd mapping = owned(
      ::OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, local_name(name, number).c_str()));
  if (!mapping) return nullptr;
  // Mapped once more and for good: the view keeps the mapping, and meetings are few.
  return static_cast<meeting_point*>(::MapViewOfFile(
      handle_of(mapping.get()), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, sizeof(meeting_point)));
}

meeting_point* named_mapping::publish(std::string_view name, const std::string& layout,
                                      void* state) {
  int number = 0;
  for_each_meeting_point(name, [&](meeting_point&) { ++number; });
  ::SetLastError(ERROR_SUCCESS);
  unique_fd mapping =
      owned(::CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0,
                                 sizeof(meeting_point), local_name(name, number).c_str()));
  if (!mapping || ::GetLastError() == ERROR_ALREADY_EXISTS) return nullptr;
  void* const place = ::MapViewOfFile(handle_of(mapping.get()), FILE_MAP_READ | FILE_MAP_WRITE, 0,
                                      0, sizeof(meeting_point));
  if (place == nullptr) return nullptr;
  static_cast<void>(mapping.release());  // the name lives as long as this handle
  auto* const made = new (place) meeting_point{};
  layout.copy(made->layout, sizeof made->layout - 1);
  made->state = state;
  return made;
}

std::uint64_t entropy() noexcept {
  std::uint64_t bits = 0;
  if (::RtlGenRandom(&bits, sizeof bits) == 0) {
    LARGE_INTEGER ticks{};
    ::QueryPerformanceCounter(&ticks);
    bits = static_cast<std::uint64_t>(ticks.QuadPart) << 24U ^ ::GetCurrentProcessId();
  }
  return bits;
}

const std::string& ensure_run_mark() {
  static mark_state& only = []() -> mark_state& {
    mark_state& state = find_process_state<mark_state>();
    if (std::exchange(state.shown, true)) return state;  // another copy of tidewait has put it on
    const char* const outer = environment(run_variable);
    const std::string marks =
        outer == nullptr || *outer == '\0' ? state.id : outer + (':' + state.id);
    ::SetEnvironmentVariableW(to_wide(run_variable).c_str(), to_wide(marks).c_str());
    return state;
  }();
  return only.id;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
