// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Whether a process has ended and waits to be reaped, or is being reaped: it holds no file any
/// more. Where only its first thread has ended (pthread_exit(3) in main), its state is Z as well,
/// but other threads run on and hold all its files.
inline bool has_ended(char state, std::uint64_t threads) noexcept {
  return (state == 'Z' || state == 'X') && threads <= 1;
}

/// What /proc/PID/stat says of a process (proc(5)).
struct process_stat {
  int pid = 0;         ///< As this /proc numbers it.
  std::string name{};  ///< Up to 15 bytes (64 of a kernel thread), whatever the process chose.
  char state = '?';
  int parent = 0;  ///< As this /proc numbers it; 0: none that it shows.
  int group = 0;   ///< Process group, likewise.
  int session = 0;
  std::uint32_t flags = 0;    ///< PF_... of include/linux/sched.h.
  std::uint32_t threads = 0;  ///< 0 when it is being reaped.
  std::uint64_t start = 0;    ///< Clock ticks since boot; with the pid it names a process for good.

  bool ended() const noexcept { return has_ended(state, threads); }
  bool is_same_as(const process_stat& other) const noexcept {
    return pid == other.pid && start == other.start;
  }
};

/// Takes a decimal number off the front of `text`, whole words only.
template <typename Number>
bool take_decimal(std::string_view& text, Number& number) noexcept {
  const std::string_view word = take_word(text);
  const auto end = std::from_chars(word.data(), word.data() + word.size(), number);
  return end.ec == std::errc{} && end.ptr == word.data() + word.size() && !word.empty();
}

/// Reads the text of a /proc/PID/stat; nothing if it is none. The name stands in parentheses and
/// may itself hold parentheses, spaces and line ends: the last ')' counts.
inline std::optional<process_stat> parse_process_stat(std::string_view text) {
  const auto open = text.find(" (");
  const auto close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2) {
    return std::nullopt;
  }
  process_stat stat;
  std::string_view number = text.substr(0, open);
  if (!take_decimal(number, stat.pid) || !number.empty() || stat.pid < 0) return std::nullopt;
  stat.name = text.substr(open + 2, close - open - 2);
  text.remove_prefix(close + 1);
  text = text.substr(0, text.find('\n'));
  for (int field = 3; field <= 22; ++field) {
    bool valid = true;
    switch (field) {
      case 3: {
        const std::string_view state = take_word(text);
        valid = state.size() == 1;
        if (valid) stat.state = state.front();
        break;
      }
      case 4: valid = take_decimal(text, stat.parent) && stat.parent >= 0; break;
      case 5: valid = take_decimal(text, stat.group); break;
      case 6: valid = take_decimal(text, stat.session); break;
      case 9: valid = take_decimal(text, stat.flags); break;
      case 20: valid = take_decimal(text, stat.threads); break;
      case 22: valid = take_decimal(text, stat.start); break;
      default: valid = !take_word(text).empty();
    }
    if (!valid) return std::nullopt;
  }
  return stat;
}

/// What /proc/PID/status says of a process and its stat does not (proc(5)).
struct process_status {
  char state = '?';
  std::uint32_t threads = 0;
  std::optional<std::uint32_t>
      real_uid{};                      ///< Who started it, even if it is a set-user-ID program.
  std::optional<std::uint32_t> uid{};  ///< The effective one.
  /// Its pid in each pid namespace that it is in, from that of this /proc inwards. Where /proc is
  /// an outer namespace's, its numbers are not those that kill(2) takes.
  std::vector<int> pids{};
  int tracer = 0;           ///< The process that traces it; 0: none, or none that this /proc shows.
  bool dumps_core = false;  ///< It has crashed, and its memory is being written (Linux 4.15).

  bool ended() const noexcept { return has_ended(state, threads); }
};

/// Reads the text of a /proc/PID/status; what is missing or malformed stays empty.
inline process_status parse_process_status(std::string_view text) {
  process_status status;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = take_word(line);
    if (key == "State:") {
      const std::string_view state = take_word(line);
      if (!state.empty()) status.state = state.front();
    } else if (key == "Threads:") {
      take_decimal(line, status.threads);
    } else if (key == "Uid:") {
      std::uint32_t uid = 0;
      if (take_decimal(line, uid)) status.real_uid = uid;
      if (take_decimal(line, uid)) status.uid = uid;
    } else if (key == "TracerPid:") {
      take_decimal(line, status.tracer);
    } else if (key == "CoreDumping:") {
      status.dumps_core = take_word(line) == "1";
    } else if (key == "NSpid:") {
      for (int pid = 0; take_decimal(line, pid);) status.pids.push_back(pid);
    }
  }
  return status;
}

/// Opens /proc/PID, with `sys.proc` for /proc. What is read below it, and what is signalled through
/// it, is this process even when another has got its pid. Owns none, and errno says why, if it is
/// not there.
inline unique_fd open_process(std::string_view name) {
  return unique_fd{
      sys.openat(AT_FDCWD, proc_path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}
inline unique_fd open_process(int pid) { return open_process(std::to_string(pid)); }

// In all that follows, `process` is a directory that `open_process` gave.

/// Nothing, and `error` says why, if it cannot be read.
inline std::optional<process_stat> read_process_stat(int process, std::error_code& error) {
  constexpr std::size_t most = 4096;
  std::string text;
  error = read_file(process, "stat", text, most);
  auto stat = error ? std::nullopt : parse_process_stat(text);
  if (!stat && !error) error = std::make_error_code(std::errc::io_error);
  return stat;
}
inline std::optional<process_stat> read_process_stat(int process) {
  std::error_code ignored;
  return read_process_stat(process, ignored);
}

/// Whether a process that was to be opened or read is gone, or hidden from this user (hidepid): to
/// look again would not help. Otherwise it may be there.
inline bool is_out_of_sight(const std::error_code& error) noexcept {
  return error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process ||
         error == std::errc::permission_denied || error == std::errc::operation_not_permitted;
}

/// Nothing if the process is gone, or may not be seen (hidepid).
inline std::optional<process_status> read_process_status(int process) {
  constexpr std::size_t most = std::size_t{64} << 10U;  // groups and NUMA nodes make it long
  std::string text;
  const std::error_code error = read_file(process, "status", text, most);
  if (error && error != std::errc::file_too_large) return std::nullopt;
  return parse_process_status(text);
}

/// What it calls itself: at most 15 bytes, valid UTF-8.
inline std::string read_process_name(int process) {
  constexpr std::size_t most = 64;
  std::string text;
  static_cast<void>(read_file(process, "comm", text, most));
  return sanitised(std::string_view{text}.substr(0, text.find('\n')));
}

/// Where only the main thread of a process has ended: /proc/PID/task/TID of one that runs on. Its
/// files, its memory and its namespaces are to be found there, and no longer in /proc/PID.
/// Otherwise none.
inline unique_fd open_live_thread(int process) {
  unique_fd live;
  const auto main = read_process_stat(process);
  if (!main || main->ended() || !has_ended(main->state, 0)) return live;
  for_each_name(process, "task", [&](int tasks, const char* id) {
    unique_fd thread{sys.openat(tasks, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const auto stat = read_process_stat(thread.get());
    if (stat && !has_ended(stat->state, 0)) live = std::move(thread);
    return !live;
  });
  return live;
}

/// Reads a file that is made of a process's memory, and so is empty once its main thread has ended.
inline std::error_code read_of_memory(int process, const char* file, std::string& text,
                                      std::size_t most) {
  const std::error_code error = read_file(process, file, text, most);
  if (!text.empty()) return error;
  const unique_fd thread = open_live_thread(process);
  return thread ? read_file(thread.get(), file, text, most) : error;
}

/// Its command line on one line, valid UTF-8; a longer one than 4 KiB ends in "...". Empty where it
/// has none (a kernel thread, a process that has ended).
inline std::string read_command_line(int process) {
  std::string text;
  const std::error_code error = read_of_memory(process, "cmdline", text, longest_foreign_text + 1);
  std::string command = parse_command_line(text);
  const bool only_front = error == std::errc::file_too_large;
  return command.empty() && only_front ? "(too large to read)" : command;
}

/// The environment that it was started with. EFBIG: it has more than `most_of_an_environment`, and
/// what lies behind that was not seen (a process can point it at gigabytes: prctl(2),
/// PR_SET_MM_MAP).
inline std::error_code read_environment(int process, std::string& text) {
  return read_of_memory(process, "environ", text, most_of_an_environment);
}

/// Whether this process's user started it. By what a process carries (its environment, its limits,
/// the names of its files) it can be claimed only if this holds: other users can read a mark, and
/// wear it. The real uid counts: a set-user-ID program that somebody else runs has only the
/// effective one of its owner.
inline bool is_of_own_user(const process_status& status) noexcept {
  return status.real_uid == ::getuid();
}
inline bool is_of_own_user(int process) {
  const auto status = read_process_status(process);
  return status && is_of_own_user(*status);
}

/// Sends a signal to the process, never to one that has got its pid since. ESRCH: it is gone;
/// EPERM: it may not be signalled by this user.
inline std::error_code send_signal(int process, int number) {
#ifdef SYS_pidfd_send_signal
  if (::syscall(SYS_pidfd_send_signal, process, number, nullptr, 0U) == 0) return {};
  if (errno == ESRCH) return last_error();
  // EINVAL: it is in no pid namespace below this one, where its numbers are somebody else's.
  const bool is_missing = errno == ENOSYS || errno == EPERM;
#else
  constexpr bool is_missing = true;
#endif
  // Linux before 5.1, or a seccomp filter that does not know the call and answers EPERM.
  if (!is_missing || !proc_has_our_numbers())
    return std::make_error_code(std::errc::operation_not_permitted);
  const auto stat = read_process_stat(process);
  if (!stat) return std::make_error_code(std::errc::no_such_process);
  return ::kill(stat->pid, number) == 0 ? std::error_code{} : last_error();
}

/// This process and those that started it, by their numbers in /proc, as far as they can be seen.
/// `error` says why it may be more: /proc is not there, or a process could not be read.
inline std::vector<int> own_line(std::error_code& error) {
  std::vector<int> line;
  for (int pid = own_pid(error); pid > 0;) {
    line.push_back(pid);
    const unique_fd process = open_process(pid);
    std::error_code unread = process ? std::error_code{} : last_error();
    const auto stat = process ? read_process_stat(process.get(), unread) : std::nullopt;
    if (unread && !is_out_of_sight(unread)) error = unread;
    const bool circular = stat && std::find(line.begin(), line.end(), stat->parent) != line.end();
    pid = stat && !circular ? stat->parent : 0;
  }
  return line;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
