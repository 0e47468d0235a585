// SPDX-License-Identifier: BSL-1.0
#include "process_tree.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait::command {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* doing) {
  throw std::system_error{errno, std::system_category(), doing};
}

/// All that can be blocked and handed on; a fault of our own must still end us.
sigset_t forwarded_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigdelset(&set, fault);
  }
  return set;
}

bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

/// How long a reader that does not read is waited for once somebody wants the run to end.
constexpr std::chrono::milliseconds reader_time{500};

}  // namespace

process_tree::process_tree(pid_t keeper) : keeper_{keeper} {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    // Linux has it since 3.4: what does not know it is an emulator.
    constexpr const char* emulated =
        "becoming the reaper of orphans, which emulators such as qemu-user cannot do; run the "
        "tidewait of the host machine instead: tidewait run -- EMULATOR PROGRAM (prctl)";
    fail(errno == EINVAL ? emulated : "becoming the reaper of orphans (prctl)");
  }
  const sigset_t set = forwarded_signals();
  if (::sigprocmask(SIG_BLOCK, &set, &former_mask_) != 0) fail("blocking signals (sigprocmask)");
  // Ignored, as some parents leave it, it would make the kernel reap instead of us.
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &by_default, &former_child_action_);
  signals_ = detail::unique_fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!signals_) {
    const int error = errno;
    restore_signals();
    errno = error;
    fail("waiting for signals (signalfd4)");
  }

  // While this process waits for room in its own output, all signals are blocked.
  wait_for_room_by([this](const unblocked_output& out) { return wait_for_room(out); });
  terminal_ = detail::unique_fd{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
  if (!terminal_) return;
  leads_job_ = ::getpgrp() == ::getpid();
  const bool foreground = ::tcgetpgrp(terminal_.get()) == ::getpgrp();
  if (foreground && !leads_job_) group_ = group::shared;
}

process_tree::~process_tree() {
  wait_for_room_by(nullptr);
  take_terminal_back();
  restore_signals();
}

void process_tree::restore_signals() const noexcept {
  ::sigaction(SIGCHLD, &former_child_action_, nullptr);
  ::sigprocmask(SIG_SETMASK, &former_mask_, nullptr);
}

void process_tree::relay_output() {
  struct stat first {};
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat info {};
    if (::fstat(stream, &info) != 0 || !(S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)))
      continue;
    // Two names of one pipe (2>&1) stay one, so that lines keep their order.
    const bool same = stream == STDERR_FILENO && relays_[0].read_end &&
                      info.st_dev == first.st_dev && info.st_ino == first.st_ino;
    relay& made = relays_[stream - STDOUT_FILENO];
    made.to = stream;
    made.out = unblocked_output{stream};
    if (same) {
      made.write_end = detail::unique_fd{::fcntl(relays_[0].write_end.get(), F_DUPFD_CLOEXEC, 0)};
      if (!made.write_end) fail("passing output on (fcntl)");
      continue;
    }
    first = info;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("passing output on (pipe2)");
    made.read_end = detail::unique_fd{ends[0]};
    made.write_end = detail::unique_fd{ends[1]};
    if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) fail("passing output on (fcntl)");
  }
}

void process_tree::relay::close() {
  read_end.reset();
  kept.clear();
  owed = 0;
}

/// Hands on what there is, and never waits for the reader: signals must be heard meanwhile. Where
/// nobody reads any more, neither do we: the command gets its SIGPIPE.
void process_tree::pump(std::size_t which) {
  relay& from = relays_[which];
  constexpr int most_parts = 64;  // somebody may write without end
  for (int i = 0; from.read_end && i < most_parts; ++i) {
    while (!from.kept.empty()) {
      const ssize_t written = from.out.write(from.kept);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EAGAIN) return;
      if (written < 0) return from.close();
      const auto size = static_cast<std::size_t>(written);
      from.kept.erase(0, size);
      from.owed -= std::min(from.owed, size);
    }
    char part[16384];
    const ssize_t got = ::read(from.read_end.get(), part, sizeof part);
    if (got == 0) from.close();
    if (got <= 0) return;
    from.kept.assign(part, static_cast<std::size_t>(got));
  }
}

/// Whether the reader has all that the command had written when it ended, or is not waited for.
bool process_tree::handed_on() const {
  return (relays_[0].owed == 0 && relays_[1].owed == 0) ||
         (drop_output_ && clock::now() >= *drop_output_);
}

void process_tree::start(const std::vector<std::string>& command, const std::vector<int>& inherited,
                         const std::function<int()>& prepare) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) fail("making a pipe (pipe2)");
  start_error_ = detail::unique_fd{ends[0]};
  const detail::unique_fd error_pipe{ends[1]};
  note_earlier_children();
  const pid_t launcher = ::getpid();
  const bool foreground = in_foreground();
  const pid_t child = ::fork();
  if (child < 0) fail("starting a process (fork)");
  if (child == 0) {
    // If the launcher died before this took effect, its death was not signalled.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launcher) ::_exit(128 + SIGKILL);
    become(command, inherited, prepare, foreground, error_pipe.get());
  }
  command_ = child;
  for (relay& each : relays_) each.write_end.reset();
  // The child does it, too: whoever comes first.
  if (group_ == group::own) ::setpgid(command_, command_);
}

/// A shell may have started processes and then become this one (exec): they are not the command's.
void process_tree::note_earlier_children() {
  siginfo_t none{};
  if (::waitid(P_ALL, 0, &none, WEXITED | WNOHANG | WNOWAIT) != 0) return;
  std::size_t left_out = 0;
  const auto note = [&](detail::living_process&& each, tree_process&&) {
    before_.emplace_back(each.stat.pid, each.stat.start);
  };
  constexpr int most_walks = 20;
  for (int i = 0; i < most_walks && !walk({}, left_out, note); ++i) {
  }
}

void process_tree::become(const std::vector<std::string>& command,
                          const std::vector<int>& inherited, const std::function<int()>& prepare,
                          bool foreground, int error_pipe) {
  if (group_ == group::own) {
    ::setpgid(0, 0);
    if (foreground) ::tcsetpgrp(terminal_.get(), ::getpid());
  }
  const auto give_up = [error_pipe](int error) {
    if (::write(error_pipe, &error, sizeof error) < 0) ::_exit(126);
    ::_exit(error == ENOENT ? 127 : 126);
  };
  for (const relay& each : relays_) {
    if (each.write_end && ::dup2(each.write_end.get(), each.to) < 0) give_up(errno);
  }
  for (const int fd : inherited) {
    if (::fcntl(fd, F_SETFD, 0) != 0) give_up(errno);
  }
  ::sigaction(SIGCHLD, &former_child_action_, nullptr);
  ::sigprocmask(SIG_SETMASK, &former_mask_, nullptr);
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  if (const int error = prepare ? prepare() : 0; error != 0) give_up(error);
  ::execvp(arguments[0], arguments.data());
  give_up(errno);
  ::_exit(126);
}

/// Whether the terminal is this process's to give away. (Where SIGTTOU is blocked, as it is here, a
/// background process may do so, too: tcsetpgrp(3).)
bool process_tree::in_foreground() const noexcept {
  return terminal_ && leads_job_ && ::tcgetpgrp(terminal_.get()) == ::getpgrp();
}

void process_tree::take_terminal_back() const noexcept {
  if (terminal_ && group_ == group::own && ::tcgetpgrp(terminal_.get()) == command_) {
    ::tcsetpgrp(terminal_.get(), ::getpgrp());
  }
}

bool process_tree::wait_for_command(std::chrono::microseconds longest) {
  if (!wait_until([this] { return ended_ && handed_on(); }, longest)) return false;
  take_terminal_back();
  return true;
}

void process_tree::wait_for_input(int fd) {
  const auto is_ready = [fd] {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, 0) > 0;
  };
  while (!wait_until(is_ready, 1h, {fd, POLLIN, 0})) {
  }
}

/// Waits for a reader of this process's own output, which need not read: signals are heard
/// meanwhile, and one that asks to end limits the wait. False: there still is no room.
bool process_tree::wait_for_room(const unblocked_output& out) {
  // Where the command has ended, or is about to be, what fails must not keep the rest from ending.
  ending_ = ending_ || ended_ || cannot_wait_ || cannot_reap_;
  const auto start = clock::now();
  const auto is_over = [&] {
    return out.has_room() ||
           (drop_output_ && clock::now() >= std::max(*drop_output_, start + reader_time));
  };
  while (!wait_until(is_over, reader_time, {out.fd(), POLLOUT, 0})) {
  }
  return out.has_room();
}

bool process_tree::wait_for_all(std::chrono::microseconds longest) {
  return wait_until([this] { return all_ended_; }, longest);
}

bool process_tree::wait_until(const std::function<bool()>& done, std::chrono::microseconds longest,
                              pollfd also) {
  const auto end = clock::now() + longest;
  reap();
  while (!done()) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - clock::now());
    if (left <= 0ns) return false;
    const timespec timeout{static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
    pollfd ready[] = {{signals_.get(), POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}, also};
    for (const std::size_t each : {0U, 1U}) {
      const relay& from = relays_[each];
      if (from.read_end && from.kept.empty()) ready[1 + each] = {from.read_end.get(), POLLIN, 0};
      if (from.read_end && !from.kept.empty()) ready[1 + each] = {from.out.fd(), POLLOUT, 0};
    }
    if (cannot_wait_) {
      detail::sleep_for(1ms);
    } else if (::ppoll(ready, 4, &timeout, nullptr) < 0 && errno != EINTR) {
      cannot_wait_ = true;
      if (!ending_) fail("waiting for a process (ppoll)");
    }
    for (const std::size_t each : {0U, 1U}) pump(each);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      handle(static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL);
    }
  }
  return true;
}

void process_tree::handle(int signal, bool from_kernel) {
  if (signal == SIGCHLD) return reap();
  if (asks_to_end(signal)) drop_output_ = clock::now() + reader_time;
  if (ended_ || command_ == 0) return;
  // A stopped command would hear it only when somebody continues it (timeout(1) does the same).
  const bool continues = asks_to_end(signal) && !from_kernel;
  // What the terminal sends to the foreground group has reached a command in that group.
  if (group_ == group::own) {
    ::kill(-command_, signal);
    if (continues) ::kill(-command_, SIGCONT);
  } else if (signal == SIGTSTP) {
    if (!from_kernel) ::kill(command_, signal);
    stop();
  } else if (!from_kernel) {
    ::kill(command_, signal);
    if (continues) ::kill(command_, SIGCONT);
  }
}

void process_tree::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid < 0 && errno == EINTR) continue;
    all_ended_ = pid < 0 && errno == ECHILD;
    if (pid < 0 && !cannot_reap_ && (errno != ECHILD || (command_ != 0 && !ended_))) {
      cannot_reap_ = true;
      if (!ending_) fail("learning how a process ended (wait4)");
    }
    if (pid <= 0) return;
    if (pid != command_) continue;
    if (WIFSTOPPED(status)) {
      if (leads_job_ && terminal_ && group_ == group::own) stop();
      continue;
    }
    ended_ = true;
    for (relay& from : relays_) {
      int inside = 0;
      if (!from.read_end || ::ioctl(from.read_end.get(), FIONREAD, &inside) != 0) continue;
      from.owed = from.kept.size() + static_cast<std::size_t>(inside);
    }
    if (drop_output_) drop_output_ = clock::now() + reader_time;
    ended_by_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    status_ = ended_by_ != 0 ? 128 + ended_by_ : WEXITSTATUS(status);
  }
}

/// The command has stopped (Ctrl-Z, or it reads the terminal from the background): so does this
/// process, for its shell to see. When the shell continues it, the command goes on. Where nobody
/// could continue it (an orphaned process group), the kernel does not stop it.
void process_tree::stop() {
  take_terminal_back();
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  struct sigaction former {};
  ::sigaction(SIGTSTP, &by_default, &former);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, SIGTSTP);
  ::raise(SIGTSTP);  // blocked until here:
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::sigprocmask(SIG_BLOCK, &only, nullptr);
  ::sigaction(SIGTSTP, &former, nullptr);
  if (group_ == group::shared) return;
  if (in_foreground()) ::tcsetpgrp(terminal_.get(), command_);
  ::kill(-command_, SIGCONT);
}

std::error_code process_tree::start_error() const {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(start_error_.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return detail::last_error();
  return {got == static_cast<ssize_t>(sizeof error) ? error : 0, std::system_category()};
}

/// Offers each living process below this one that is not spared, children of this one at once.
bool process_tree::walk(
    const spared& spare, std::size_t& left_out,
    const std::function<void(detail::living_process&&, tree_process&&)>& found) {
  left_out = 0;
  if (!walker_.can_look()) return false;
  struct node {
    int proc_pid;  // as /proc numbers it
    int pid;       // as kill(2) does
  };
  std::vector<node> tree{{walker_.self().pid, ::getpid()}};
  std::vector<detail::process_stat> others;
  bool unseen = false;
  // Nothing if the parent is not in the tree.
  const auto take = [&](detail::living_process& each) {
    const bool twice = std::any_of(tree.begin(), tree.end(),
                                   [&](const node& one) { return one.proc_pid == each.stat.pid; });
    if (twice) return true;
    const auto parent = std::find_if(tree.begin(), tree.end(), [&](const node& one) {
      return one.proc_pid == each.stat.parent;
    });
    if (parent == tree.end()) return false;
    int pid = each.stat.pid;
    if (walker_.depth() != 0) {
      const auto status = detail::read_process_status(each.directory.get());
      unseen = unseen || !status;
      pid = status && status->pids.size() > walker_.depth() ? status->pids[walker_.depth()] : 0;
    }
    tree_process process{pid, parent->pid, detail::sanitised(each.stat.name), {}};
    if (pid == 0 || pid == keeper_) return true;
    const std::pair id{each.stat.pid, each.stat.start};
    const bool was_there = std::find(before_.begin(), before_.end(), id) != before_.end();
    if (was_there || (spare && spare(process))) {
      ++left_out;
      return true;
    }
    tree.push_back({each.stat.pid, pid});
    found(std::move(each), std::move(process));
    return true;
  };
  bool whole = walker_.walk([&](detail::living_process&& each) {
    if (each.stat.start < walker_.self().start) return detail::membership::stranger;
    if (take(each)) return detail::membership::member;
    others.push_back(std::move(each.stat));  // without its descriptor: there may be many
    return detail::membership::undecided;
  });
  // Of the others some have a parent that was found later, or lost theirs meanwhile and fell to us.
  constexpr int most_passes = 16;
  bool any = true;
  for (int pass = 0; any && pass < most_passes; ++pass) {
    any = false;
    for (auto each = others.begin(); each != others.end();) {
      auto now = detail::find_process(each->pid, unseen);
      bool done = !now || now->stat.start != each->start || now->stat.ended();
      if (!done && take(*now)) {
        done = any = true;
      } else if (!done) {
        any = any || now->stat.parent != each->parent;
        each->parent = now->stat.parent;
      }
      each = done ? others.erase(each) : each + 1;
    }
  }
  return whole && !any && !unseen;
}

tree_walk process_tree::look(const spared& spare) {
  tree_walk seen;
  seen.whole = walk(spare, seen.spared, [&](detail::living_process&& each, tree_process&& process) {
    process.command = detail::read_command_line(each.directory.get());
    seen.found.push_back(std::move(process));
  });
  return seen;
}

/// Where /proc shows nobody: whoever is still in the command's group. That a child of ours is in it
/// proves that the group is not another one with the same number.
void process_tree::signal_group(int signal) const noexcept {
  siginfo_t info{};
  if (command_ == 0 || group_ != group::own) return;
  const auto number = static_cast<id_t>(command_);
  if (::waitid(P_PGID, number, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return;
  ::kill(-command_, signal);
  ::kill(-command_, SIGCONT);
}

detail::termination process_tree::end_all(std::chrono::milliseconds grace, const spared& spare) {
  ending_ = true;
  detail::termination_rules rules;
  rules.grace = grace;
  rules.wait = [this](std::chrono::milliseconds step, clock::time_point) { wait_for_all(step); };
  // A child that has ended is only gone when it has been waited for.
  rules.nobody_left = [this] {
    reap();
    return all_ended_;
  };
  if (!can_look()) rules.signal_group = [this](int signal) { signal_group(signal); };
  if (rules.nobody_left()) return {};
  return detail::terminate(
      [&](const auto& found) {
        std::size_t left_out = 0;
        return walk(spare, left_out,
                    [&](detail::living_process&& each, tree_process&&) { found(std::move(each)); });
      },
      rules);
}

std::string to_text(const detail::termination& ended) {
  const auto list = [](const std::vector<process>& all) {
    constexpr std::size_t most = 4;
    std::vector<std::string> names;
    for (const process& each : all) {
      if (names.size() == most) break;
      names.push_back("pid " + std::to_string(each.pid) + " (" + each.name + ')');
    }
    std::string text = detail::joined(names, ", ");
    if (names.size() < all.size()) {
      text += " and " + std::to_string(all.size() - names.size()) + " more";
    }
    return text;
  };
  std::string text;
  if (!ended.killed.empty()) {
    text += "tidewait: " + detail::counted(ended.killed.size(), "process") +
            " ignored SIGTERM and " + (ended.killed.size() == 1 ? "was" : "were") + " killed\n";
  }
  if (!ended.refused.empty()) {
    text += "tidewait: cannot end " + list(ended.refused) +
            ": Operation not permitted; end it as root or as its user\n";
  }
  if (!ended.survivors.empty()) {
    text += "tidewait: " + list(ended.survivors) + " survived SIGKILL\n";
  }
  if (!ended.certain) {
    text +=
        "tidewait: processes may be left running that /proc does not show, or that fork and exit "
        "too fast to be caught\n";
  }
  return text;
}

}  // namespace tidewait::command
