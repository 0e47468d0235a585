// SPDX-License-Identifier: BSL-1.0
#include "run_notes.hpp"

#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>
#include <utility>

#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait::command {
namespace {

constexpr std::string_view title = "tidewait run 1\n";

[[noreturn]] void fail(std::error_code error, const std::string& doing) {
  const bool no_proc = ::access(detail::proc_path("self").c_str(), F_OK) != 0;
  throw std::system_error{error, no_proc ? doing + " (mount /proc first)" : doing};
}

std::string hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string this_machine() {
  utsname names{};
  if (::uname(&names) != 0) fail(detail::last_error(), "uname");
  return hash_of(names.nodename);
}

std::string this_boot() {
  std::string text;
  const std::string path = detail::proc_path("sys/kernel/random/boot_id");
  if (const auto error = detail::read_file(AT_FDCWD, path.c_str(), text, 64)) {
    fail(error, "reading " + path);
  }
  return text.substr(0, text.find('\n'));
}

std::uint64_t this_pid_namespace() {
  struct stat info {};
  const std::string path = detail::proc_path("self/ns/pid");
  if (::stat(path.c_str(), &info) != 0) fail(detail::last_error(), "reading " + path);
  return info.st_ino;
}

/// Takes "key value\n" off the front of `text`.
template <typename Value>
bool take_line(std::string_view& text, std::string_view key, Value& value) {
  std::string_view line = detail::take_line(text);
  if (detail::take_word(line) != key) return false;
  if constexpr (std::is_same_v<Value, std::string>) {
    value = detail::take_word(line);
    return !value.empty();
  } else {
    return detail::take_decimal(line, value);
  }
}

enum class life { alive, ended, unknown };

/// Whether the process that a run belongs to lives. What cannot be read is not taken for the end.
life life_of(const run_note& note) {
  if (note.pid == 0) return life::unknown;
  const detail::unique_fd process = detail::open_process(note.pid);
  if (!process) {
    const std::error_code error = detail::last_error();
    if (error != std::errc::no_such_file_or_directory && error != std::errc::no_such_process) {
      fail(error, "opening /proc/" + std::to_string(note.pid));
    }
    // Where /proc hides the processes of other users, the kernel still knows the pid.
    return ::kill(note.pid, 0) == 0 || errno != ESRCH ? life::unknown : life::ended;
  }
  std::string text;
  const auto error = detail::read_file(process.get(), "stat", text);
  if (error == std::errc::no_such_process) return life::ended;
  if (error) fail(error, "reading /proc/" + std::to_string(note.pid) + "/stat");
  const auto stat = detail::parse_process_stat(text);
  if (!stat) return life::unknown;
  return stat->start == note.start && !stat->ended() ? life::alive : life::ended;
}

}  // namespace

bool is_mark(std::string_view name) noexcept {
  constexpr std::size_t digits = 16;
  return name.size() == digits &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string to_text(const run_note& note) {
  return std::string{title} + "pid " + std::to_string(note.pid) + "\nstart " +
         std::to_string(note.start) + "\nboot " + note.boot + "\nmachine " + note.machine +
         "\npid_namespace " + std::to_string(note.pid_namespace) + "\nuid " +
         std::to_string(note.uid) + '\n';
}

std::optional<run_note> parse_run_note(std::string_view text) {
  std::string_view rest = text;
  if (rest.substr(0, title.size()) != title) return std::nullopt;
  rest.remove_prefix(title.size());
  run_note note;
  if (!take_line(rest, "pid", note.pid) || !take_line(rest, "start", note.start) ||
      !take_line(rest, "boot", note.boot) || !take_line(rest, "machine", note.machine) ||
      !take_line(rest, "pid_namespace", note.pid_namespace) || !take_line(rest, "uid", note.uid)) {
    return std::nullopt;
  }
  // One form only: no sign, no zero in front, no blank, nothing behind, a line end at the end.
  if (note.pid < 0 || to_text(note) != text) return std::nullopt;
  return note;
}

run_note note_of_this_run() {
  run_note note;
  std::error_code error;
  const std::vector<int> line = detail::own_line(error);
  if (error) fail(error, "reading /proc/self");
  // Where /proc is that of another pid namespace, its numbers are not those of the namespace that
  // the note names. A parent outside of this namespace is not in /proc.
  if (line.size() > 1 && line.front() == ::getpid()) {
    const auto parent = detail::read_process_stat(detail::open_process(line[1]).get());
    const auto self = detail::read_process_stat(detail::open_process(line[0]).get());
    // What adopts the orphan of a ctest that has ended has a session of its own: systemd does, as
    // pid 1 and as that of a user. Pid 1 of a container may have none, and adopts all the same:
    // only a ctest that is pid 1 is certain to have started the run.
    const bool may_have_started = parent && !parent->ended() && self &&
                                  self->parent == parent->pid && self->session == parent->session;
    if (may_have_started && (parent->pid != 1 || parent->name == "ctest")) {
      note.pid = parent->pid;
      note.start = parent->start;
    }
  }
  note.boot = this_boot();
  note.machine = this_machine();
  note.pid_namespace = this_pid_namespace();
  note.uid = ::getuid();
  return note;
}

run_notes::run_notes(const std::string& path) : path_{detail::sanitised(path)} {
  detail::opened_file opened = detail::open_own_directory(path);
  if (!opened) {
    throw std::runtime_error{"opening the directory of runs " + path_ + ": " + to_text(opened) +
                             (opened.why.empty()
                                  ? ""
                                  : "; give --runs a directory of your own to which nobody else "
                                    "may write (chmod go-w)")};
  }
  directory_ = std::move(opened.fd);
}

run_notes::reading run_notes::read(const std::string& mark) const {
  detail::opened_file file = detail::open_own(directory_.get(), mark.c_str(), O_RDONLY, S_IFREG);
  if (file.error == std::errc::no_such_file_or_directory) return {};
  if (!file && file.why.empty()) fail(file.error, "reading " + path_ + '/' + mark);
  if (!file) return {std::nullopt, file.why};
  constexpr std::size_t most = 512;
  std::string text(most, '\0');
  std::size_t used = 0;
  while (used < most) {
    const ssize_t got = detail::sys.read(file.fd.get(), text.data() + used, most - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(detail::last_error(), "reading " + path_ + '/' + mark);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  auto note = parse_run_note(text);
  if (!note) return {std::nullopt, text.empty() ? "it is empty" : "it is not a note of a run"};
  if (note->uid != ::getuid()) {
    return {std::nullopt, "it is the note of uid " + std::to_string(note->uid)};
  }
  return {std::move(note), {}};
}

run_list run_notes::others(const std::string& own_mark) const {
  const std::string boot = this_boot();
  const std::string machine = this_machine();
  const std::uint64_t pid_namespace = this_pid_namespace();
  std::vector<std::string> marks;
  const auto error = detail::for_each_name(directory_.get(), ".", [&](int, const char* name) {
    if (is_mark(name) && name != own_mark) marks.emplace_back(name);
  });
  if (error) fail(error, "reading the directory of runs " + path_);
  run_list list;
  for (const std::string& mark : marks) {
    const reading found = read(mark);
    if (!found.note) {
      if (!found.flaw.empty()) list.unjudged.push_back(mark + ": " + found.flaw);
    } else if (found.note->boot != boot) {
      if (found.note->machine == machine) {
        list.over.push_back(mark);
      } else {
        list.unjudged.push_back(mark + ": it is of another machine");
      }
    } else if (found.note->pid_namespace != pid_namespace) {
      list.unjudged.push_back(mark + ": it is of another pid namespace (a container)");
    } else {
      switch (life_of(*found.note)) {
        case life::alive: break;
        case life::ended: list.interrupted.push_back(mark); break;
        case life::unknown:
          list.unjudged.push_back(mark + ": the process that started it cannot be seen");
      }
    }
  }
  return list;
}

std::optional<run_note> run_notes::find(const std::string& mark) const {
  reading found = read(mark);
  if (!found.note && !found.flaw.empty()) {
    throw std::runtime_error{path_ + '/' + mark + ": " + found.flaw +
                             "; remove it, or set another mark in TIDEWAIT_RUN"};
  }
  return std::move(found.note);
}

void run_notes::write(const std::string& mark, const run_note& note) const {
  static_cast<void>(find(mark));
  // Not by the umask: a note to which the group may write would not be believed.
  constexpr mode_t own_only = 0600;
  if (const auto error = detail::replace_file_in(directory_.get(), mark, to_text(note), own_only)) {
    fail(error, "writing " + path_ + '/' + mark);
  }
}

void run_notes::remove(const std::string& mark) const {
  if (!read(mark).note) return;
  if (::unlinkat(directory_.get(), mark.c_str(), 0) != 0 && errno != ENOENT) {
    fail(detail::last_error(), "removing " + path_ + '/' + mark);
  }
}

}  // namespace tidewait::command
