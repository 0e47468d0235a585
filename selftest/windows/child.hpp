// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <winsock2.h>
// clang-format off: after winsock2.h
#include <windows.h>
// clang-format on

#include <string>
#include <system_error>

/// A program beside this one, run with its output in a pipe. It ends when its input ends, and is
/// ended with this object.
class child {
 public:
  explicit child(const std::string& program, const std::string& arguments) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    HANDLE in_read = nullptr;
    HANDLE out_write = nullptr;
    check(::CreatePipe(&in_read, &input_, &inherited, 0) != 0, "CreatePipe");
    check(::CreatePipe(&output_, &out_write, &inherited, 0) != 0, "CreatePipe");
    ::SetHandleInformation(input_, HANDLE_FLAG_INHERIT, 0);
    ::SetHandleInformation(output_, HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOA start{};
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdInput = in_read;
    start.hStdOutput = out_write;
    start.hStdError = out_write;
    std::string line = '"' + beside_us(program) + "\" " + arguments;
    const bool made = ::CreateProcessA(nullptr, line.data(), nullptr, nullptr, TRUE, 0, nullptr,
                                       nullptr, &start, &made_) != 0;
    ::CloseHandle(in_read);
    ::CloseHandle(out_write);
    check(made, "CreateProcess");
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    end_input();
    if (::WaitForSingleObject(made_.hProcess, 30000) != WAIT_OBJECT_0) kill();
    ::CloseHandle(made_.hThread);
    ::CloseHandle(made_.hProcess);
    ::CloseHandle(output_);
  }

  /// The path of a program that lies where this one does.
  static std::string beside_us(const std::string& program) {
    char path[1024];
    const DWORD size = ::GetModuleFileNameA(nullptr, path, sizeof path);
    const std::string own{path, size};
    return own.substr(0, own.find_last_of("\\/") + 1) + program;
  }

  int pid() const noexcept { return static_cast<int>(made_.dwProcessId); }
  /// The next line of its output; what there is if it has ended.
  std::string read_line() {
    std::string line;
    char letter = 0;
    DWORD got = 0;
    while (::ReadFile(output_, &letter, 1, &got, nullptr) != 0 && got == 1 && letter != '\n') {
      if (letter != '\r') line += letter;
    }
    return line;
  }
  /// Everything up to its end.
  std::string read_all() {
    std::string text;
    char buffer[4096];
    DWORD got = 0;
    while (::ReadFile(output_, buffer, sizeof buffer, &got, nullptr) != 0 && got != 0)
      text.append(buffer, got);
    return text;
  }
  void end_input() noexcept {
    if (input_ != nullptr) ::CloseHandle(input_);
    input_ = nullptr;
  }
  void kill() noexcept {
    ::TerminateProcess(made_.hProcess, 99);
    ::WaitForSingleObject(made_.hProcess, 30000);
  }
  /// Waits until it has ended.
  int exit_code() {
    ::WaitForSingleObject(made_.hProcess, 60000);
    DWORD code = STILL_ACTIVE;
    ::GetExitCodeProcess(made_.hProcess, &code);
    return static_cast<int>(code);
  }

 private:
  static void check(bool good, const char* call) {
    if (!good)
      throw std::system_error{static_cast<int>(::GetLastError()), std::system_category(), call};
  }

  HANDLE input_ = nullptr;
  HANDLE output_ = nullptr;
  PROCESS_INFORMATION made_{};
};

/// What a program that has ended printed, and with what it ended.
struct outcome {
  int exit_code = 0;
  std::string output;
};

/// Runs tidewait.exe.
inline outcome tidewait_with(const std::string& arguments) {
  child ran{"tidewait.exe", arguments};
  ran.end_input();
  outcome result;
  result.output = ran.read_all();
  result.exit_code = ran.exit_code();
  return result;
}
