// SPDX-License-Identifier: BSL-1.0
#include "marked_processes.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/terminate.hpp>
#include <tidewait/process.hpp>

namespace tidewait::command {

std::uint64_t mark_limit(std::string_view mark) {
  std::uint64_t bits = 0;
  for (const char digit : mark) {
    bits = bits << 4U | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  constexpr std::uint64_t beyond_any_time = std::uint64_t{1} << 62U;
  return beyond_any_time | (bits & (beyond_any_time - 1));
}

std::optional<std::uint64_t> limit_in(std::string_view limits) {
  constexpr std::string_view title = "Max realtime timeout";
  while (!limits.empty()) {
    std::string_view line = detail::take_line(limits);
    if (line.substr(0, title.size()) != title) continue;
    line.remove_prefix(title.size());
    std::uint64_t value = 0;
    const std::string_view word = detail::take_word(line);
    const auto end = std::from_chars(word.data(), word.data() + word.size(), value);
    if (end.ec == std::errc{}) return value;
    break;
  }
  return std::nullopt;
}

std::error_code put_mark_limit(int pid, std::string_view mark) {
  rlimit64 limit{};
  if (::prlimit64(pid, RLIMIT_RTTIME, nullptr, &limit) != 0) return detail::last_error();
  limit.rlim_cur = mark_limit(mark);
  if (::prlimit64(pid, RLIMIT_RTTIME, &limit, nullptr) != 0) return detail::last_error();
  return {};
}

std::error_code put_mark_limit(int pid, std::uint64_t start, std::string_view mark) {
  const detail::unique_fd process = detail::open_process(pid);
  const auto lives = [&] {
    const auto stat = detail::read_process_stat(process.get());
    return stat && stat->start == start && !stat->ended();
  };
  rlimit64 former{};
  if (::prlimit64(pid, RLIMIT_RTTIME, nullptr, &former) != 0) return detail::last_error();
  const std::error_code gone = std::make_error_code(std::errc::no_such_process);
  if (!lives()) return gone;
  if (const auto error = put_mark_limit(pid, mark)) return error;
  if (lives()) return {};
  // The limit may have gone to another process that has the pid by now.
  ::prlimit64(pid, RLIMIT_RTTIME, &former, nullptr);
  return gone;
}

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// How long a process of this one's shell may take to become a reader of its output.
constexpr auto time_to_settle = 1s;

/// Says when walks have seen nothing of the run often enough.
class calm {
 public:
  bool holds_after(const marked_processes& found, bool seen) {
    constexpr int whole_walks = 5;
    constexpr auto longest = 2s;
    if (seen || found.fleeting) {
      walks_ = 0;
      since_ = clock::now();
    } else if (found.whole) {
      ++walks_;
    }
    return walks_ == whole_walks || clock::now() - since_ >= longest;
  }

 private:
  int walks_ = 0;
  clock::time_point since_ = clock::now();
};

bool is_gone(const std::error_code& error) {
  return error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process;
}

bool is_refused(const std::error_code& error) {
  return error == std::errc::permission_denied || error == std::errc::operation_not_permitted;
}

/// What the descriptor leads to, such as "pipe:[4711]"; empty if it cannot be seen.
std::string link_of(int process, const char* fd) {
  char text[64];
  const std::string path = std::string{"fd/"} + fd;
  const ssize_t length = detail::sys.readlinkat(process, path.c_str(), text, sizeof text);
  return {text, length > 0 ? static_cast<std::size_t>(length) : 0};
}

/// Whether the process holds an end of that pipe into which it can write. (The mode of the link
/// says how the descriptor was opened: proc(5).)
bool can_write(int process, const std::string& pipe) {
  bool writes = false;
  detail::for_each_name(process, "fd", [&](int fds, const char* fd) {
    struct stat info {};
    writes = writes ||
             (link_of(process, fd) == pipe && ::fstatat(fds, fd, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
              (info.st_mode & S_IWUSR) != 0);
  });
  return writes;
}

/// Where only the first thread has ended, /proc/PID/environ is empty, and those of its other
/// threads are not.
std::error_code read_environment_of_any_thread(int process, std::string& text) {
  std::error_code error = detail::read_environment(process, text);
  if (error || !text.empty()) return error;
  std::string of_thread;
  detail::for_each_name(process, "task", [&](int tasks, const char* name) {
    const detail::unique_fd task{
        detail::sys.openat(tasks, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!task || !text.empty()) return;
    error = detail::read_environment(task.get(), of_thread);
    if (!error || error == std::errc::file_too_large) text = std::move(of_thread);
  });
  return error;
}

/// The pid that the kernel gave last in this pid namespace; 0 where it does not say.
int last_pid() {
  std::string text;
  if (detail::read_file(AT_FDCWD, detail::proc_path("loadavg").c_str(), text, 128)) return 0;
  std::string_view last = std::string_view{text}.substr(text.rfind(' ') + 1);
  int pid = 0;
  return detail::take_decimal(last, pid) ? pid : 0;
}

using identity = std::pair<int, std::uint64_t>;  // pid and start

/// /proc/PID of a process that was found: it stays that one's when the pid is given to another, and
/// takes signals for it (pidfd_send_signal(2)). None if it is gone.
detail::unique_fd reopen(const identity& process) {
  detail::unique_fd directory = detail::open_process(process.first);
  const auto stat = detail::read_process_stat(directory.get());
  if (!stat || stat->start != process.second) directory.reset();
  return directory;
}

class walker {
 public:
  explicit walker(const marked_search& search) : search_{search}, limit_{mark_limit(search.mark)} {
    std::error_code unread;
    own_line_ = detail::own_line(unread);
    // An ancestor that was not read would be taken for a leftover.
    if (unread) throw std::system_error{unread, "reading this process and its ancestors in /proc"};
    const detail::unique_fd self = detail::open_process("self");
    const auto stat = detail::read_process_stat(self.get());
    session_ = stat ? stat->session : 0;
    start_ = stat ? stat->start : 0;
    for (const char* const stream : {"1", "2"}) note_output(self.get(), stream);
  }

  using at_once = std::function<void(const marked_process&, detail::unique_fd directory)>;

  /// `act`: what is done with a process of the run as soon as it is found, for it may be gone a
  /// moment later. Between walks no process is held open: there may be more than descriptors.
  marked_processes walk(const at_once& act = {}) {
    found_ = {};
    tolerated_.clear();
    int last = last_pid();
    const auto error =
        detail::for_each_name(AT_FDCWD, detail::sys.proc, [&](int, const char* name) {
          const auto pid = detail::parse_pid(name);
          if (pid && !visit(*pid, act)) found_.whole = false;
        });
    if (error) throw std::system_error{error, "reading /proc"};
    // What was started meanwhile by what has ended meanwhile.
    constexpr int most_rounds = 64;
    constexpr int most_pids = 256;
    bool has_caught_up = false;
    for (int round = 0; round < most_rounds && !has_caught_up; ++round) {
      const int now = last_pid();
      has_caught_up = now == last;
      if (now < last || now - last > most_pids) break;
      while (last < now) visit(++last, act);
    }
    found_.whole = found_.whole && has_caught_up;
    // Such a one may be named otherwise by now, in the process that it started.
    for (const identity& each : tolerated_) {
      const auto stat = detail::read_process_stat(reopen(each).get());
      found_.fleeting = found_.fleeting || !stat || stat->ended();
    }
    spare_readers();
    attribute();
    return std::move(found_);
  }

 private:
  static bool contains(const std::vector<identity>& all, const identity& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }

  /// Whether it was not among them before.
  static bool insert(std::vector<identity>& all, const detail::process_stat& stat) {
    if (contains(all, {stat.pid, stat.start})) return false;
    all.emplace_back(stat.pid, stat.start);
    return true;
  }

  /// False if there is no such process, or not any more.
  bool visit(int pid, const at_once& act) {
    if (std::find(own_line_.begin(), own_line_.end(), pid) != own_line_.end()) return true;
    detail::unique_fd opened = detail::open_process(pid);
    if (!opened) {
      const std::error_code error = detail::last_error();
      // hidepid=1 shows that somebody else's process is there, and no more.
      if (is_gone(error) || is_refused(error)) return is_refused(error);
      return note_unread(error, pid, "");
    }
    const int directory = opened.get();
    marked_process process;
    std::string text;
    std::error_code error = read_environment_of_any_thread(directory, text);
    const bool too_large = error == std::errc::file_too_large;
    if (error && !too_large && !is_gone(error) && !is_refused(error)) {
      return note_unread(error, pid, "/environ");
    }
    if ((!error || too_large) && detail::environment_has_mark(text, search_.mark)) {
      process.test = detail::sanitised(detail::variable_in(text, test_variable));
    } else {
      constexpr std::size_t most = 16384;
      error = detail::read_file(directory, "limits", text, most);
      if (error && !is_gone(error) && !is_refused(error)) {
        return note_unread(error, pid, "/limits");
      }
      if (error || limit_in(text) != limit_) {
        if (too_large && !error) note_too_large(directory, pid);
        return !is_gone(error);
      }
    }
    const auto status = detail::read_process_status(directory);
    const auto stat = detail::read_process_stat(directory);
    if (!status || !stat) {
      found_.fleeting = true;
      return false;
    }
    if (stat->ended()) {
      // Unless nobody reaps it, it has ended just now.
      found_.fleeting = insert(ended_, *stat) || found_.fleeting;
      return true;
    }
    if (contains(spared_, {stat->pid, stat->start})) return true;
    process.pid = pid;
    process.parent = stat->parent;
    process.session = stat->session;
    process.start = stat->start;
    process.uid = status->real_uid.value_or(0);
    process.name = detail::read_process_name(directory);
    process.command = detail::read_command_line(directory);
    if (!detail::is_of_own_user(*status)) {
      found_.foreign.push_back(std::move(process));
      return true;
    }
    process.whose = attribution::own;
    const auto& names = search_.tolerated_names;
    if (std::find(names.begin(), names.end(), process.name) != names.end()) {
      tolerated_.emplace_back(process.pid, process.start);
      return true;
    }
    if (is_reader(process, directory)) {
      spare(process, directory);
      return true;
    }
    process.unsettled = process.start >= start_ && is_of_own_shell(process);
    if (act) act(process, std::move(opened));
    found_.alive.push_back(std::move(process));
    return true;
  }

  /// The first one is named. Each may be one of the run.
  bool note_unread(const std::error_code& error, int pid, const char* file) {
    found_.whole = false;
    if (found_.unread.empty()) {
      found_.unread = "reading /proc/" + std::to_string(pid) + file + ": " + error.message();
    }
    return false;
  }

  void note_too_large(int directory, int pid) {
    if (!detail::is_of_own_user(directory)) return;
    found_.too_large.push_back("pid " + std::to_string(pid) + " (" +
                               detail::read_process_name(directory) + ')');
  }

  void note_output(int process, const char* stream) {
    std::string link = link_of(process, stream);
    // A pipe that has a name can be opened by anybody, at any time.
    if (link.substr(0, 6) == "pipe:[") outputs_.push_back(std::move(link));
  }

  /// Its parent and its session say that the shell of this process or a reader of its output
  /// started it, and no test.
  bool is_of_own_shell(const marked_process& process) const {
    const auto is_parent = [&](int pid) { return pid == process.parent; };
    return process.session == session_ &&
           (std::any_of(own_line_.begin(), own_line_.end(), is_parent) ||
            std::any_of(spared_.begin(), spared_.end(),
                        [&](const identity& each) { return is_parent(each.first); }));
  }

  /// Whether it reads what this process writes, or a reader of that: `tidewait gate end | tee log`.
  bool is_reader(const marked_process& process, int directory) const {
    if (!is_of_own_shell(process)) return false;
    const std::string input = link_of(directory, "0");
    return std::find(outputs_.begin(), outputs_.end(), input) != outputs_.end() &&
           !can_write(directory, input);
  }

  void spare(const marked_process& process, int directory) {
    spared_.emplace_back(process.pid, process.start);
    for (const char* const stream : {"1", "2"}) note_output(directory, stream);
  }

  /// One reader may have come before the one that it reads from.
  void spare_readers() {
    auto& alive = found_.alive;
    for (;;) {
      detail::unique_fd directory;
      const auto reader = std::find_if(alive.begin(), alive.end(), [&](const marked_process& each) {
        directory = reopen({each.pid, each.start});
        return is_reader(each, directory.get());
      });
      if (reader == alive.end()) return;
      spare(*reader, directory.get());
      alive.erase(reader);
    }
  }

  /// Which processes of other users the run started. What such a process carries proves nothing;
  /// who its ancestors are does, for the kernel keeps that.
  void attribute() {
    auto& foreign = found_.foreign;
    const auto first = std::stable_partition(
        foreign.begin(), foreign.end(),
        [this](const marked_process& each) { return !is_started_by_run(each); });
    for (auto each = first; each != foreign.end(); ++each) {
      each->whose = attribution::started;
      started_.emplace_back(each->pid, each->start);
      found_.alive.push_back(std::move(*each));
    }
    foreign.erase(first, foreign.end());
  }

  /// A process of a run that root started is root's, until root has left it to another user. For
  /// others only a set-user-ID program does that, and it goes on as what they started.
  bool is_started_by_run(const marked_process& process) const {
    // Known from an earlier walk, when its parent was alive.
    if (contains(started_, {process.pid, process.start})) return true;
    const bool is_root = ::getuid() == 0;
    if (!is_root && process.session > 0 &&
        detail::is_of_own_user(detail::open_process(process.session).get())) {
      return true;
    }
    constexpr int most_steps = 64;
    int pid = process.parent;
    for (int steps = 0; pid > 0 && steps < most_steps; ++steps) {
      const auto is_it = [pid](const marked_process& each) { return each.pid == pid; };
      if (std::any_of(found_.alive.begin(), found_.alive.end(), is_it)) return true;
      const detail::unique_fd parent = detail::open_process(pid);
      if (!is_root && detail::is_of_own_user(parent.get())) return true;
      const auto stat = detail::read_process_stat(parent.get());
      pid = stat ? stat->parent : 0;
    }
    return false;
  }

  const marked_search& search_;
  std::uint64_t limit_;
  std::vector<int> own_line_;
  int session_ = 0;
  std::uint64_t start_ = 0;
  std::vector<std::string> outputs_;  // pipes that lead to readers
  std::vector<identity> spared_;
  std::vector<identity> started_;
  std::vector<identity> ended_;
  std::vector<identity> tolerated_;  // in this walk
  marked_processes found_;
};

}  // namespace

marked_processes find_marked(const marked_search& search) {
  walker walker{search};
  const auto start = clock::now();
  for (calm calm;;) {
    marked_processes found = walker.walk();
    const bool seen = !found.alive.empty();
    const bool settled = std::none_of(found.alive.begin(), found.alive.end(),
                                      [](const marked_process& each) { return each.unsettled; });
    const auto waited = clock::now() - start;
    if ((seen && (settled || waited >= time_to_settle)) || calm.holds_after(found, seen) ||
        waited >= 2s) {
      return found;
    }
    // Walks at one moment would all see the same.
    if (!found.fleeting) detail::sleep_for(2ms);
  }
}

marked_processes end_marked(const marked_search& search, std::chrono::milliseconds grace) {
  walker walker{search};
  marked_processes found;
  bool knows_readers = false;
  const auto start = clock::now();
  const auto find = [&](const std::function<void(detail::living_process &&)>& offer) {
    const auto end = [&](const marked_process& each, detail::unique_fd directory) {
      // The shell may start a reader as late as now; until it is known it counts as alive.
      if (each.unsettled && clock::now() - start < time_to_settle) return;
      detail::living_process target{std::move(directory)};
      target.stat.pid = each.pid;
      target.stat.start = each.start;
      target.stat.name = each.name;
      if (target.directory && each.whose == attribution::own) offer(std::move(target));
    };
    // Only at the end of the first walk all readers of our output are known.
    if (std::exchange(knows_readers, true)) {
      found = walker.walk(end);
    } else {
      found = walker.walk();
      for (const marked_process& each : found.alive) end(each, reopen({each.pid, each.start}));
    }
    return false;  // `calm` says whether nobody was missed
  };
  calm calm;
  detail::termination_rules rules;
  rules.grace = grace;
  rules.nobody_left = [&] {
    for (marked_process& each : found.alive) {
      constexpr int may_i = 0;  // kill(2): no signal, but the same check of rights
      const detail::unique_fd directory = reopen({each.pid, each.start});
      each.error = !directory ? std::make_error_code(std::errc::no_such_process)
                   : each.whose == attribution::own
                       ? detail::send_signal(directory.get(), may_i)
                       : std::make_error_code(std::errc::operation_not_permitted);
      if (is_gone(each.error)) each.error.clear();
    }
    return calm.holds_after(found, std::any_of(found.alive.begin(), found.alive.end(),
                                               [](const auto& each) { return !each.error; }));
  };
  detail::terminate(find, rules);
  return found;
}

}  // namespace tidewait::command
