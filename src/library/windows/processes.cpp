// SPDX-License-Identifier: BSL-1.0
#include "processes.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <system_error>
#include <utility>

#include <tidewait/detail/text.hpp>
#include <tidewait/detail/windows/read_sockets.hpp>
#include <tidewait/detail/windows/self.hpp>

#include "system.hpp"
// clang-format off: after windows.h
#include <tlhelp32.h>
#include <winternl.h>
// clang-format on

namespace tidewait {
inline namespace v0 {
namespace detail {
namespace {

unique_fd open_process(std::uint32_t pid) noexcept {
  return owned(::OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid));
}

/// As `start_of_process`.
std::uint64_t start_of(const unique_fd& process) noexcept {
  FILETIME start{};
  FILETIME end{};
  FILETIME kernel{};
  FILETIME user{};
  if (!process || ::GetProcessTimes(handle_of(process.get()), &start, &end, &kernel, &user) == 0)
    return 0;
  return std::uint64_t{start.dwHighDateTime} << 32U | start.dwLowDateTime;
}

/// "C:\\tests\\net_tests.exe"; empty if it cannot be seen.
std::string image_of(const unique_fd& process) {
  std::wstring path(1024, L'\0');
  auto size = static_cast<DWORD>(path.size());
  if (!process ||
      ::QueryFullProcessImageNameW(handle_of(process.get()), 0, path.data(), &size) == 0)
    return {};
  path.resize(size);
  return to_utf8(path);
}

/// The command line (NtQueryInformationProcess, ProcessCommandLineInformation), without the quotes
/// around the program; empty if it cannot be seen.
std::string command_line_of(const unique_fd& process) {
  using query_process = LONG __stdcall(HANDLE, int, void*, ULONG, ULONG*);
  constexpr int command_line_information = 60;
  auto* const query = find_in_ntdll<query_process>("NtQueryInformationProcess");
  if (!process || query == nullptr) return {};
  std::vector<std::uint64_t> buffer(std::size_t{64} << 7U);  // 64 KiB: the longest there is
  ULONG used = 0;
  if (query(handle_of(process.get()), command_line_information, buffer.data(),
            static_cast<ULONG>(buffer.size() * sizeof buffer.front()), &used) != 0) {
    return {};
  }
  const auto* const text = reinterpret_cast<const UNICODE_STRING*>(buffer.data());
  if (text->Buffer == nullptr || text->Length == 0) return {};
  std::string line = to_utf8({text->Buffer, text->Length / sizeof(wchar_t)});
  const auto end = line.find('"', 1);
  if (line.front() == '"' && end != std::string::npos) line.erase(end, 1).erase(0, 1);
  return line;
}

std::string file_name(const std::string& path) {
  const auto slash = path.find_last_of("\\/");
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// Every process, and which one started it.
class process_tree {
 public:
  process_tree() {
    const unique_fd snapshot = owned(::CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0));
    PROCESSENTRY32W entry{};
    entry.dwSize = sizeof entry;
    if (!snapshot || ::Process32FirstW(handle_of(snapshot.get()), &entry) == 0) return;
    do {
      processes_[entry.th32ProcessID] = {entry.th32ParentProcessID, to_utf8(entry.szExeFile)};
    } while (::Process32NextW(handle_of(snapshot.get()), &entry) != 0);
  }

  /// The file name of its program; empty if there is no such process.
  std::string name_of(std::uint32_t pid) const {
    const auto found = processes_.find(pid);
    return found == processes_.end() ? std::string{} : found->second.name;
  }

  /// Who started it; 0: not known.
  std::uint32_t parent_of(std::uint32_t pid) const {
    const auto found = processes_.find(pid);
    return found == processes_.end() ? 0 : found->second.parent;
  }

  /// Who started it, if that is alive: a pid is given out again, so one that is younger than its
  /// child is none.
  std::uint32_t living_parent(std::uint32_t pid) const {
    const std::uint32_t parent = parent_of(pid);
    if (processes_.count(parent) == 0) return 0;
    const std::uint64_t born = start_of_process(pid);
    return born != 0 && start_of_process(parent) > born ? 0 : parent;
  }

  /// Whether this process has started it, or started one that did. A parent that is younger than
  /// its child is none.
  bool is_descendant(std::uint32_t pid) const {
    for (std::size_t steps = 0; steps < processes_.size(); ++steps) {
      const auto found = processes_.find(pid);
      if (found == processes_.end() || found->second.parent == 0) return false;
      const std::uint32_t parent = found->second.parent;
      const std::uint64_t born = start_of_process(pid);
      if (born == 0 || start_of_process(parent) > born) return false;
      if (parent == ::GetCurrentProcessId()) return true;
      pid = parent;
    }
    return false;
  }

 private:
  struct running {
    std::uint32_t parent = 0;
    std::string name;
  };
  std::map<std::uint32_t, running> processes_;
};

/// The pids of the processes in a job; `error` says if they cannot be listed.
std::vector<std::uint32_t> pids_in(native_handle job, std::error_code& error) {
  std::vector<std::uint64_t> buffer(4096);
  auto* list = reinterpret_cast<JOBOBJECT_BASIC_PROCESS_ID_LIST*>(buffer.data());
  while (::QueryInformationJobObject(handle_of(job), JobObjectBasicProcessIdList, list,
                                     static_cast<DWORD>(buffer.size() * sizeof buffer.front()),
                                     nullptr) == 0) {
    error = last_error();
    if (::GetLastError() != ERROR_MORE_DATA) return {};
    buffer.resize(buffer.size() * 2);
    list = reinterpret_cast<JOBOBJECT_BASIC_PROCESS_ID_LIST*>(buffer.data());
  }
  error = {};
  std::vector<std::uint32_t> pids;
  for (DWORD i = 0; i < list->NumberOfProcessIdsInList; ++i)
    pids.push_back(static_cast<std::uint32_t>(list->ProcessIdList[i]));
  return pids;
}

std::atomic<native_handle> own_job{no_handle};

/// Not by IsProcessInJob: Wine asks for more rights on the process than Windows does.
bool is_in(native_handle job, std::uint32_t pid) noexcept {
  if (job == no_handle) return false;
  try {
    std::error_code unused;
    const auto pids = pids_in(job, unused);
    return std::find(pids.begin(), pids.end(), pid) != pids.end();
  } catch (...) {
    return false;  // no memory
  }
}

relation relation_to(std::uint32_t pid, const process_tree& tree) {
  if (pid == ::GetCurrentProcessId()) return relation::self;
  if (tree.is_descendant(pid)) return relation::descendant;
  return is_in(own_job.load(), pid) ? relation::marked_orphan : relation::other;
}

process describe(std::uint32_t pid, const process_tree& tree) {
  process described;
  described.pid = static_cast<int>(pid);
  described.relation = relation_to(pid, tree);
  const unique_fd process = open_process(pid);
  const std::string image = image_of(process);
  described.name = sanitised(image.empty() ? tree.name_of(pid) : file_name(image));
  described.command = sanitised(command_line_of(process));
  if (described.command.empty()) described.command = sanitised(image);
  return described;
}

/// Whether a process must hold a socket of this state: the table has no pid for the others.
bool must_be_held(const observed_socket& socket) noexcept {
  return socket.state == socket_state::listen || socket.state == socket_state::unconn;
}

}  // namespace

process_life life_of(std::uint32_t pid) noexcept {
  const unique_fd process = open_process(pid);
  if (!process) return {::GetLastError() == ERROR_INVALID_PARAMETER, 0};
  DWORD code = STILL_ACTIVE;
  const bool told = ::GetExitCodeProcess(handle_of(process.get()), &code) != 0;
  return {told && code != STILL_ACTIVE, start_of(process)};
}

bool may_hold_since(std::uint32_t pid, const process_life& life, std::uint64_t made) noexcept {
  if (pid == ::GetCurrentProcessId()) return true;
  return !life.over && (made == 0 || life.start <= made);
}

std::uint64_t start_of_process(std::uint32_t pid) noexcept {
  return pid == 0 ? 0 : start_of(open_process(pid));
}

int parent_of(int pid) {
  return static_cast<int>(process_tree{}.living_parent(static_cast<std::uint32_t>(pid)));
}

std::vector<int> own_line() {
  const process_tree tree;
  std::vector<int> line;
  for (std::uint32_t pid = ::GetCurrentProcessId(); pid != 0; pid = tree.living_parent(pid)) {
    const int number = static_cast<int>(pid);
    if (std::find(line.begin(), line.end(), number) != line.end()) break;
    line.push_back(number);
  }
  return line;
}

std::vector<running_process> processes_in(native_handle job) {
  constexpr int most_looks = 50;
  for (int look = 1;; ++look) {
    std::error_code error;
    const auto pids = pids_in(job, error);
    if (error) throw std::system_error{error, "listing a job (QueryInformationJobObject)"};
    std::vector<running_process> running;
    if (pids.empty()) return running;
    const process_tree tree;
    bool nameless = false;
    for (const std::uint32_t pid : pids) {
      process each = describe(pid, tree);
      if (each.name == "conhost.exe") continue;
      nameless = nameless || each.name.empty();
      if (each.name.empty()) each.name = "?";
      running.push_back({each.pid, static_cast<int>(tree.parent_of(pid)), std::move(each.name),
                         std::move(each.command)});
    }
    // Who has ended meanwhile may have started somebody.
    if (!nameless || look == most_looks) return running;
  }
}

void adopt(native_handle job) noexcept { own_job.store(job); }

void end_process(native_handle job, int pid) noexcept {
  constexpr DWORD longest_wait = 5000;
  const auto number = static_cast<DWORD>(pid);
  const unique_fd process = owned(::OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, number));
  // While we have it open, nobody else gets its pid.
  if (!process || !is_in(job, number)) return;
  if (::TerminateProcess(handle_of(process.get()), 1) != 0)
    ::WaitForSingleObject(handle_of(process.get()), longest_wait);
}

const std::string& program_name() {
  static const std::string& name = *new std::string{process_name(process_id())};
  return name;
}

std::string process_name(int pid) {
  const auto number = static_cast<std::uint32_t>(pid);
  const std::string image = image_of(open_process(number));
  return sanitised(image.empty() ? process_tree{}.name_of(number) : file_name(image));
}

void find_owners(std::vector<observed_socket>& sockets, owner_reach reach, visibility& seen,
                 process_census*) {
  const process_tree tree;
  std::map<std::uint32_t, process> known;
  seen.owners = reach == owner_reach::own_tree ? owner_view::own_tree : owner_view::all;
  for (observed_socket& socket : sockets) {
    socket.owners.clear();
    socket.owned = ownership::not_searched;
    if (socket.inode == 0) {
      socket.owned = must_be_held(socket) ? ownership::hidden : ownership::kernel;
      if (must_be_held(socket)) seen.owners = owner_view::not_named;
      continue;
    }
    auto found = known.find(socket.inode);
    if (found == known.end())
      found = known.emplace(socket.inode, describe(socket.inode, tree)).first;
    if (reach == owner_reach::own_tree && !found->second.ours()) continue;
    socket.owners.push_back(found->second);
    socket.owned = ownership::found;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
