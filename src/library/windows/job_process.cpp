// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <memory>
#include <string_view>

#include <tidewait/detail/windows/job_process.hpp>
#include <tidewait/detail/windows/run_marker.hpp>

#include "command_line.hpp"
#include "processes.hpp"
#include "system.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

/// Quoted, with a backslash before each quote, and backslashes doubled where a quote follows them.
void append_argument(std::wstring& line, const std::wstring& argument) {
  if (!line.empty()) line += L' ';
  line += L'"';
  std::size_t backslashes = 0;
  for (const wchar_t c : argument) {
    if (c == L'"') line.append(backslashes + 1, L'\\');
    backslashes = c == L'\\' ? backslashes + 1 : 0;
    line += c;
  }
  line.append(backslashes, L'\\');
  line += L'"';
}

/// Variables differ in their names, upper and lower case being the same.
int compare_names(std::wstring_view one, std::wstring_view other) noexcept {
  // Some are hidden and begin with '=', such as "=C:=C:\\work".
  const std::wstring_view a = one.substr(0, one.find(L'=', 1));
  const std::wstring_view b = other.substr(0, other.find(L'=', 1));
  return ::CompareStringOrdinal(a.data(), static_cast<int>(a.size()), b.data(),
                                static_cast<int>(b.size()), TRUE) -
         CSTR_EQUAL;
}

/// Our environment with some variables set, as CreateProcess takes it: sorted by name.
std::wstring environment_block(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<std::wstring> all;
  const std::unique_ptr<wchar_t, BOOL(WINAPI*)(wchar_t*)> own{::GetEnvironmentStringsW(),
                                                              ::FreeEnvironmentStringsW};
  for (const wchar_t* each = own.get(); each != nullptr && *each != L'\0';) {
    all.emplace_back(each);
    each += all.back().size() + 1;
  }
  for (const auto& [name, value] : variables) {
    const std::wstring entry = to_wide(name) + L'=' + to_wide(value);
    all.erase(
        std::remove_if(all.begin(), all.end(),
                       [&](const std::wstring& each) { return compare_names(each, entry) == 0; }),
        all.end());
    all.push_back(entry);
  }
  std::stable_sort(all.begin(), all.end(), [](const std::wstring& a, const std::wstring& b) {
    return compare_names(a, b) < 0;
  });
  std::wstring block;
  for (const std::wstring& each : all) block.append(each).push_back(L'\0');
  if (all.empty()) block.push_back(L'\0');
  block.push_back(L'\0');
  return block;
}

SECURITY_ATTRIBUTES inheritable() noexcept { return {sizeof(SECURITY_ATTRIBUTES), nullptr, TRUE}; }

/// A pipe of which one end can be waited for (overlapped), as those of CreatePipe cannot.
bool make_pipe(unique_fd& read_end, unique_fd& write_end) {
  constexpr DWORD room = 65536;
  const std::wstring name = L"\\\\.\\pipe\\tidewait-" + std::to_wstring(::GetCurrentProcessId()) +
                            L'-' + std::to_wstring(entropy());
  read_end = owned(::CreateNamedPipeW(
      name.c_str(), PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, 0, room, 0,
      nullptr));
  if (!read_end) return false;
  SECURITY_ATTRIBUTES inherited = inheritable();
  write_end =
      owned(::CreateFileW(name.c_str(), GENERIC_WRITE, 0, &inherited, OPEN_EXISTING, 0, nullptr));
  return static_cast<bool>(write_end);
}

unique_fd duplicate_handle(native_handle handle, BOOL inherited) noexcept {
  HANDLE copy = nullptr;
  ::DuplicateHandle(::GetCurrentProcess(), handle_of(handle), ::GetCurrentProcess(), &copy, 0,
                    inherited, DUPLICATE_SAME_ACCESS);
  return owned(copy);
}

/// Which handles a child inherits, and no other.
class inherited_handles {
 public:
  explicit inherited_handles(std::vector<HANDLE>& handles) {
    SIZE_T size = 0;
    ::InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    room_.resize(size / sizeof(std::uint64_t) + 1);
    ready_ =
        ::InitializeProcThreadAttributeList(get(), 1, 0, &size) != 0 &&
        ::UpdateProcThreadAttribute(get(), 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles.data(),
                                    handles.size() * sizeof(HANDLE), nullptr, nullptr) != 0;
  }
  inherited_handles(const inherited_handles&) = delete;
  inherited_handles& operator=(const inherited_handles&) = delete;
  ~inherited_handles() {
    if (ready_) ::DeleteProcThreadAttributeList(get());
  }

  explicit operator bool() const noexcept { return ready_; }
  LPPROC_THREAD_ATTRIBUTE_LIST get() noexcept {
    return reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room_.data());
  }

 private:
  std::vector<std::uint64_t> room_{};
  bool ready_ = false;
};

}  // namespace

std::wstring to_command_line(const std::vector<std::string>& arguments) {
  std::wstring line;
  for (const std::string& each : arguments) append_argument(line, to_wide(each));
  return line;
}

unique_fd duplicate(native_handle handle) {
  unique_fd copy = duplicate_handle(handle, FALSE);
  if (!copy) throw std::system_error{last_error(), "copying a handle (DuplicateHandle)"};
  return copy;
}

void write_standard_error(std::string_view text) noexcept {
  DWORD written = 0;
  for (; !text.empty(); text.remove_prefix(written)) {
    const auto size = static_cast<DWORD>(std::min<std::size_t>(text.size(), 65536));
    if (::WriteFile(::GetStdHandle(STD_ERROR_HANDLE), text.data(), size, &written, nullptr) == 0 ||
        written == 0)
      return;
  }
}

std::error_code job_process::start(const job_command& what, const char*& failed) {
  const auto refused = [&failed](const char* call) {
    failed = call;
    return last_error();
  };
  job_ = owned(::CreateJobObjectW(nullptr, nullptr));
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
  limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
  if (!job_ || ::SetInformationJobObject(handle_of(job_.get()), JobObjectExtendedLimitInformation,
                                         &limits, sizeof limits) == 0)
    return refused("making a job (CreateJobObject)");
  stop_ = owned(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  arrived_ = owned(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  unique_fd output;
  if (!stop_ || !arrived_ || !make_pipe(output_, output))
    return refused("making a pipe (CreateNamedPipe)");
  SECURITY_ATTRIBUTES inherited = inheritable();
  const unique_fd input = owned(
      ::CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ, &inherited, OPEN_EXISTING, 0, nullptr));
  if (!input) return refused("opening its standard input (CreateFile)");
  std::vector<unique_fd> copies;
  std::vector<HANDLE> handles{handle_of(input.get()), handle_of(output.get())};
  for (const native_handle each : what.inherited) {
    copies.push_back(duplicate_handle(each, TRUE));
    if (!copies.back()) return refused("handing it a lease (DuplicateHandle)");
    handles.push_back(handle_of(copies.back().get()));
  }
  inherited_handles list{handles};
  if (!list) return refused("handing it its handles (UpdateProcThreadAttribute)");

  STARTUPINFOEXW start{};
  start.StartupInfo.cb = sizeof start;
  start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  start.StartupInfo.hStdInput = handle_of(input.get());
  start.StartupInfo.hStdOutput = handle_of(output.get());
  start.StartupInfo.hStdError = handle_of(output.get());
  start.lpAttributeList = list.get();
  std::wstring line = to_command_line(what.arguments);
  std::wstring environment = environment_block(what.variables);
  const std::wstring directory = to_wide(what.directory);
  const DWORD flags = CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | CREATE_UNICODE_ENVIRONMENT |
                      EXTENDED_STARTUPINFO_PRESENT | (what.without_console ? CREATE_NO_WINDOW : 0);
  PROCESS_INFORMATION made{};
  if (::CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, flags, environment.data(),
                       directory.empty() ? nullptr : directory.c_str(), &start.StartupInfo,
                       &made) == 0)
    return refused("executing it (CreateProcess)");
  process_ = owned(made.hProcess);
  const unique_fd thread = owned(made.hThread);
  // Before it does anything, so that nothing that it starts is outside.
  if (::AssignProcessToJobObject(handle_of(job_.get()), made.hProcess) == 0) {
    const std::error_code error = refused("putting it into a job (AssignProcessToJobObject)");
    ::TerminateProcess(made.hProcess, 1);
    return error;
  }
  pid_ = static_cast<int>(made.dwProcessId);
  ::ResumeThread(made.hThread);
  return {};
}

std::optional<std::uint32_t> job_process::exit_code() const noexcept {
  DWORD code = 0;
  if (::WaitForSingleObject(handle_of(process_.get()), 0) != WAIT_OBJECT_0) return std::nullopt;
  return ::GetExitCodeProcess(handle_of(process_.get()), &code) == 0 ? 1 : code;
}

std::vector<running_process> job_process::processes() const { return processes_in(job_.get()); }

bool job_process::ask_to_end() const noexcept {
  return ::GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, static_cast<DWORD>(pid_)) != 0;
}

void job_process::end_all() const noexcept { ::TerminateJobObject(handle_of(job_.get()), 1); }

std::optional<std::string> job_process::read_output() {
  std::string bytes(65536, '\0');
  OVERLAPPED wait{};
  wait.hEvent = handle_of(arrived_.get());
  DWORD got = 0;
  if (::ReadFile(handle_of(output_.get()), bytes.data(), static_cast<DWORD>(bytes.size()), nullptr,
                 &wait) == 0) {
    if (::GetLastError() != ERROR_IO_PENDING) return std::nullopt;
    const HANDLE either[] = {wait.hEvent, handle_of(stop_.get())};
    if (::WaitForMultipleObjects(2, either, FALSE, INFINITE) != WAIT_OBJECT_0)
      ::CancelIoEx(handle_of(output_.get()), &wait);
  }
  if (::GetOverlappedResult(handle_of(output_.get()), &wait, &got, TRUE) == 0) return std::nullopt;
  bytes.resize(got);
  return bytes;
}

void job_process::stop_reading() const noexcept { ::SetEvent(handle_of(stop_.get())); }

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
