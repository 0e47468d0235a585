// SPDX-License-Identifier: BSL-1.0
#include "../become.hpp"

#include <cstdlib>

#include "../end_by.hpp"
#include "command_line.hpp"
#include "started_process.hpp"
#include "system.hpp"

namespace tidewait::command {

void set_variable(const std::string& name, const std::string& value) {
  if (::SetEnvironmentVariableW(detail::to_wide(name).c_str(), detail::to_wide(value).c_str()) == 0)
    throw std::system_error{detail::last_error(), "setting " + name + " (SetEnvironmentVariable)"};
}

void clear_variable(const std::string& name) noexcept {
  try {
    ::SetEnvironmentVariableW(detail::to_wide(name).c_str(), nullptr);
  } catch (...) {
    // No memory: the variable stays.
  }
}

void hand_on(detail::native_handle lock) {
  if (::SetHandleInformation(detail::handle_of(lock), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) ==
      0)
    throw std::system_error{detail::last_error(), "handing a lease on (SetHandleInformation)"};
}

std::error_code started_process::start(const std::vector<std::string>& command, DWORD flags) {
  // CTRL_C is for the command, which gets it as well: we end when it does. When a console is
  // closed, the system ends this process as soon as the handler returns.
  ::SetConsoleCtrlHandler(
      [](DWORD event) -> BOOL {
        if (event >= CTRL_CLOSE_EVENT) ::Sleep(INFINITE);
        return TRUE;
      },
      TRUE);
  std::wstring line = detail::to_command_line(command);
  STARTUPINFOW start{};
  start.cb = sizeof start;
  PROCESS_INFORMATION made{};
  if (::CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, flags, nullptr, nullptr,
                       &start, &made) == 0) {
    return detail::last_error();
  }
  process = detail::owned(made.hProcess);
  thread = detail::owned(made.hThread);
  return {};
}

DWORD started_process::wait() const {
  ::WaitForSingleObject(detail::handle_of(process.get()), INFINITE);
  DWORD code = EXIT_FAILURE;
  ::GetExitCodeProcess(detail::handle_of(process.get()), &code);
  return code;
}

std::error_code become(const std::vector<std::string>& command) {
  started_process started;
  if (const auto error = started.start(command)) return error;
  ::ExitProcess(started.wait());
}

/// Severity "error", as of an exception that nobody has caught.
void end_by(int) {
  constexpr UINT assertion_failure = 0xC0000420U;  // STATUS_ASSERTION_FAILURE
  ::ExitProcess(assertion_failure);
}

int exit_code_of(const std::error_code& cannot_run) {
  return cannot_run == std::errc::no_such_file_or_directory ? 127 : 126;
}

}  // namespace tidewait::command
