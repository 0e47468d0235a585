// SPDX-License-Identifier: BSL-1.0
#include "../port_holders.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/socket_table.hpp>

#include "../json.hpp"
#include "processes.hpp"
#include "system.hpp"

namespace tidewait::command {

struct holder_handle {
  detail::unique_fd process;  ///< While it is open, nobody else gets the pid.
};

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Whether Windows itself stops where this process ends (ProcessBreakOnTermination, which
/// IsProcessCritical asks for).
bool is_critical(HANDLE process) {
  using query_process = LONG __stdcall(HANDLE, int, void*, ULONG, ULONG*);
  constexpr int break_on_termination = 29;
  auto* const query = detail::find_in_ntdll<query_process>("NtQueryInformationProcess");
  ULONG critical = 0;
  return process != nullptr && query != nullptr &&
         query(process, break_on_termination, &critical, sizeof critical, nullptr) == 0 &&
         critical != 0;
}

/// The table names one holder of a socket.
int pid_of(const observed_socket& socket) {
  return socket.owners.empty() ? 0 : socket.owners.front().pid;
}

/// Opens a process, and says why nobody may end it for the sake of a port. False: it is gone.
bool open(port_holder& holder, const std::vector<int>& own_line) {
  constexpr int system = 4;  // the kernel
  const auto pid = static_cast<DWORD>(holder.who.pid);
  holder.handle = std::make_shared<holder_handle>();
  holder.handle->process = detail::owned(::OpenProcess(
      PROCESS_TERMINATE | PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid));
  const DWORD error = holder.handle->process ? ERROR_SUCCESS : ::GetLastError();
  const HANDLE process =
      holder.handle->process ? detail::handle_of(holder.handle->process.get()) : nullptr;
  if (error == ERROR_INVALID_PARAMETER) return false;
  if (process != nullptr && ::WaitForSingleObject(process, 0) == WAIT_OBJECT_0) return false;
  if (holder.who.pid == system || is_critical(process)) {
    holder.why_not = "it is a part of Windows";
  } else if (std::find(own_line.begin(), own_line.end(), holder.who.pid) != own_line.end()) {
    holder.why_not = "it is this command or has started it";
  } else if (!holder.who.unit.empty()) {
    holder.why_not = "it runs a service: " + detail::stop_unit(holder.who.unit);
  } else if (!detail::services_are_visible()) {
    holder.why_not = "whether it runs a service cannot be seen: run tidewait as an administrator";
  } else if (process == nullptr) {
    holder.why_not = "Windows does not let this user end it; an administrator may be able to";
  }
  return true;
}

/// Waits until the sockets of a process that has ended are gone. Wine closes them a moment later,
/// and meanwhile its table names no holder.
void await_release(protocol which, const place& where, int pid, steady_clock::time_point until) {
  const auto may_be_its = [&](const observed_socket& each) {
    return pid_of(each) == pid || each.owned == ownership::hidden;
  };
  for (;;) {
    const socket_table table = sockets_at(which, where);
    const auto& all = table.sockets;
    if (std::none_of(all.begin(), all.end(), may_be_its) || steady_clock::now() >= until) return;
    detail::sleep_for(milliseconds{10});
  }
}

}  // namespace

port_holders find_holders(protocol which, const place& where) {
  socket_table table = sockets_at(which, where);
  detail::describe_holders(table.sockets);
  const std::vector<int> own_line = detail::own_line();
  std::map<int, port_holder> known;
  port_holders found;
  for (const observed_socket& socket : table.sockets) {
    found.hidden = found.hidden || socket.owned == ownership::hidden;
    const int pid = pid_of(socket);
    if (pid == 0 || known.count(pid) != 0) continue;
    port_holder made;
    made.who = socket.owners.front();
    made.parent = detail::parent_of(pid);
    if (open(made, own_line)) known.emplace(pid, std::move(made));
  }
  // Once more, now that no pid can get to another process: who is in the table still is the holder.
  const socket_table now = sockets_at(which, where);
  std::map<int, std::size_t> counts;
  for (const observed_socket& socket : now.sockets) {
    const auto holder = known.find(pid_of(socket));
    if (holder == known.end()) continue;
    add_socket(holder->second, std::string{state_name(socket)} + ' ' + to_string(socket.local),
               ++counts[holder->first]);
  }
  found.whole = !table.seen.blind() && !now.seen.blind();
  for (auto& [pid, holder] : known)
    if (counts.count(pid) != 0) found.all.push_back(std::move(holder));
  return found;
}

ended_holders end_holders(protocol which, const place& where, std::vector<port_holder> agreed,
                          milliseconds /*grace: nothing asks such a process to end*/) {
  constexpr milliseconds longest_wait{10000};
  const port_holders now = find_holders(which, where);
  ended_holders done;
  for (const port_holder& each : agreed) {
    const HANDLE process = detail::handle_of(each.handle->process.get());
    const bool still_holds =
        std::any_of(now.all.begin(), now.all.end(),
                    [&](const port_holder& other) { return other.who.pid == each.who.pid; });
    if (!still_holds) {
      const bool lives = ::WaitForSingleObject(process, 0) != WAIT_OBJECT_0;
      (lives ? done.released : done.ended).push_back(each.who);
      continue;
    }
    const auto until = steady_clock::now() + longest_wait;
    ::TerminateProcess(process, 1);
    if (::WaitForSingleObject(process, static_cast<DWORD>(longest_wait.count())) != WAIT_OBJECT_0) {
      done.refused.push_back(each.who);
      continue;
    }
    await_release(which, where, each.who.pid, until);
    done.ended.push_back(each.who);
  }
  return done;
}

std::string describe(const ended_holders& done, milliseconds) {
  std::string text;
  for (const process& each : done.ended) text += "ended " + holder_title(each) + '\n';
  for (const process& each : done.released)
    text += holder_title(each) + " gave up the port meanwhile and is still running\n";
  for (const process& each : done.refused) text += "could not end " + holder_title(each) + '\n';
  return text;
}

free_help help_on_free() {
  return {
      nullptr,
      "It lists the processes and asks. Then it ends them at once (TerminateProcess: Windows asks\n"
      "no process without a console to end), and confirms by a bind that the port is free. It\n"
      "ends only the processes that it has listed. It never ends a part of Windows, the\n"
      "process of a service, itself, or the processes that started it: if one of these holds the\n"
      "port, it ends none. A process that a service has started it may end.\n"
      "Exit code 1: a bind still fails, and the output says why.\n"
      "\n"
      "Examples:\n"
      "  tidewait free 8080\n"
      "  tidewait free --yes 127.0.0.1:8080\n"};
}

}  // namespace tidewait::command
