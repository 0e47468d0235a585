// SPDX-License-Identifier: BSL-1.0
#include "../streams.hpp"

#include <algorithm>

#include "system.hpp"
// clang-format off: after windows.h
#include <shellapi.h>
// clang-format on

namespace tidewait::command {
namespace {

HANDLE handle_of(int stream) {
  if (stream == standard_input) return ::GetStdHandle(STD_INPUT_HANDLE);
  return ::GetStdHandle(stream == standard_error ? STD_ERROR_HANDLE : STD_OUTPUT_HANDLE);
}

bool is_console(HANDLE handle) {
  DWORD mode = 0;
  return ::GetConsoleMode(handle, &mode) != 0;
}

}  // namespace

std::error_code write_to_stream(int stream, std::string_view text) {
  const HANDLE handle = handle_of(stream);
  // A console shows UTF-16 whatever its code page is.
  if (is_console(handle)) {
    const std::wstring wide = detail::to_wide(text);
    for (std::wstring_view rest = wide; !rest.empty();) {
      DWORD written = 0;
      const auto part = static_cast<DWORD>(std::min<std::size_t>(rest.size(), 8192));
      if (::WriteConsoleW(handle, rest.data(), part, &written, nullptr) == 0 || written == 0)
        return detail::last_error();
      rest.remove_prefix(written);
    }
    return {};
  }
  while (!text.empty()) {
    DWORD written = 0;
    const auto part = static_cast<DWORD>(std::min<std::size_t>(text.size(), 0x100000));
    if (::WriteFile(handle, text.data(), part, &written, nullptr) == 0) return detail::last_error();
    text.remove_prefix(written);
  }
  return {};
}

std::error_code write_quietly(int stream, std::string_view text) {
  return write_to_stream(stream, text);
}

bool is_terminal(int stream) {
  const HANDLE handle = handle_of(stream);
  if (stream == standard_input) return is_console(handle);
  DWORD mode = 0;
  // Colours are for consoles that understand them, from Windows 10 on.
  return ::GetConsoleMode(handle, &mode) != 0 &&
         ::SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

void prepare_streams() {}

std::vector<std::string> utf8_arguments(int argc, const char* const* argv) {
  int count = 0;
  LPWSTR* const wide = ::CommandLineToArgvW(::GetCommandLineW(), &count);
  if (wide == nullptr) return {argv, argv + argc};
  std::vector<std::string> arguments;
  for (int i = 0; i < count; ++i) arguments.push_back(detail::to_utf8(wide[i]));
  ::LocalFree(wide);
  return arguments;
}

}  // namespace tidewait::command
