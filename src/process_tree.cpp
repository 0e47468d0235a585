// SPDX-License-Identifier: BSL-1.0
#include "process_tree.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <tidewait/detail/linux/process_info.hpp>

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

}  // namespace

process_tree::process_tree(pid_t keeper) : keeper_{keeper} {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail("becoming the reaper of orphans (prctl)");
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

  terminal_ = detail::unique_fd{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
  if (!terminal_) return;
  leads_job_ = ::getpgrp() == ::getpid();
  const bool foreground = ::tcgetpgrp(terminal_.get()) == ::getpgrp();
  if (foreground && !leads_job_) group_ = group::shared;
}

process_tree::~process_tree() {
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

/// Hands on what there is. Where nobody reads any more, neither do we: the command gets its
/// SIGPIPE.
void process_tree::pump(std::size_t which) {
  relay& from = relays_[which];
  char part[16384];
  constexpr int most_parts = 64;  // somebody may write without end
  ssize_t got = 1;
  for (int i = 0; from.read_end && got > 0 && i < most_parts; ++i) {
    got = ::read(from.read_end.get(), part, sizeof part);
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = ::write(from.to, part + done, static_cast<std::size_t>(got - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return from.read_end.reset();
      done += written;
    }
  }
  if (got == 0) from.read_end.reset();
}

void process_tree::start(const std::vector<std::string>& command,
                         const std::vector<int>& inherited) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) fail("making a pipe (pipe2)");
  start_error_ = detail::unique_fd{ends[0]};
  const detail::unique_fd error_pipe{ends[1]};
  const pid_t launcher = ::getpid();
  const bool foreground = in_foreground();
  const pid_t child = ::fork();
  if (child < 0) fail("starting a process (fork)");
  if (child == 0) {
    // If the launcher died before this took effect, its death was not signalled.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launcher) ::_exit(128 + SIGKILL);
    become(command, inherited, foreground, error_pipe.get());
  }
  command_ = child;
  for (relay& each : relays_) each.write_end.reset();
  // The child does it, too: whoever comes first.
  if (group_ == group::own) ::setpgid(command_, command_);
}

void process_tree::become(const std::vector<std::string>& command,
                          const std::vector<int>& inherited, bool foreground, int error_pipe) {
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
  if (!wait_until([this] { return ended_; }, longest)) return false;
  take_terminal_back();
  for (const std::size_t each : {0U, 1U}) pump(each);
  return true;
}

bool process_tree::wait_for_all(std::chrono::microseconds longest) {
  return wait_until([this] { return all_ended_; }, longest);
}

bool process_tree::wait_until(const std::function<bool()>& done,
                              std::chrono::microseconds longest) {
  const auto end = clock::now() + longest;
  reap();
  while (!done()) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - clock::now());
    if (left <= 0ns) return false;
    const timespec timeout{static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
    pollfd ready[] = {{signals_.get(), POLLIN, 0},
                      {relays_[0].read_end.get(), POLLIN, 0},
                      {relays_[1].read_end.get(), POLLIN, 0}};
    if (cannot_wait_) {
      detail::sleep_for(1ms);
    } else if (::ppoll(ready, 3, &timeout, nullptr) < 0 && errno != EINTR) {
      cannot_wait_ = true;
      fail("waiting for a process (ppoll)");
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
  if (ended_ || command_ == 0) return;
  // What the terminal sends to the foreground group has reached a command in that group.
  if (group_ == group::own) {
    ::kill(-command_, signal);
  } else if (signal == SIGTSTP) {
    if (!from_kernel) ::kill(command_, signal);
    stop();
  } else if (!from_kernel) {
    ::kill(command_, signal);
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
      fail("learning how a process ended (wait4)");
    }
    if (pid <= 0) return;
    if (pid != command_) continue;
    if (WIFSTOPPED(status)) {
      if (leads_job_ && terminal_ && group_ == group::own) stop();
      continue;
    }
    ended_ = true;
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

std::vector<tree_process> process_tree::alive(const spared& spare) const {
  const auto self = detail::read_process_status(detail::open_process("self").get());
  if (!self || self->pids.empty()) return {};
  const std::size_t own_namespace = self->pids.size() - 1;
  struct seen {
    detail::process_stat stat;
    int pid = 0;  // as kill(2) takes it
    detail::unique_fd directory;
  };
  std::vector<seen> all;
  detail::for_each_name(AT_FDCWD, detail::sys.proc, [&](int, const char* name) {
    if (!detail::parse_pid(name)) return;
    seen each;
    each.directory = detail::open_process(name);
    auto stat = detail::read_process_stat(each.directory.get());
    const auto status = detail::read_process_status(each.directory.get());
    if (!stat || !status || status->pids.size() <= own_namespace) return;
    each.stat = std::move(*stat);
    each.pid = status->pids[own_namespace];
    all.push_back(std::move(each));
  });
  // Numbers of /proc and of kill(2), of this process and then of each that is found below it.
  std::vector<std::pair<int, int>> parents{{self->pids.front(), self->pids.back()}};
  std::vector<tree_process> found;
  for (std::size_t next = 0; next < parents.size(); ++next) {
    const auto [proc_parent, parent] = parents[next];
    for (const seen& each : all) {
      if (each.stat.parent != proc_parent || each.pid == keeper_) continue;
      const bool alive = !each.stat.ended();
      tree_process process{each.pid, parent, detail::sanitised(each.stat.name), {}};
      if (alive && spare && spare(process)) continue;
      parents.emplace_back(each.stat.pid, each.pid);
      if (!alive) continue;
      process.command = detail::read_command_line(each.directory.get());
      found.push_back(std::move(process));
    }
  }
  return found;
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

std::size_t process_tree::end_all(std::chrono::milliseconds grace, const spared& spare) {
  const auto kill_from = clock::now() + grace;
  const auto give_up = kill_from + 5s;
  std::vector<int> asked;
  std::vector<int> killed;
  for (auto pause = 1ms; !all_ended_;
       pause = std::min<std::chrono::milliseconds>(pause * 2, 50ms)) {
    const bool by_force = clock::now() >= kill_from;
    if (clock::now() >= give_up) {
      throw std::system_error{std::make_error_code(std::errc::timed_out),
                              "ending what the command left running"};
    }
    std::vector<int>& told = by_force ? killed : asked;
    const std::vector<tree_process> still_there = alive(spare);
    if (still_there.empty()) {
      if (spare && !alive().empty()) break;
      signal_group(by_force ? SIGKILL : SIGTERM);
    }
    for (const tree_process& each : still_there) {
      if (each.parent != ::getpid()) continue;
      if (std::find(told.begin(), told.end(), each.pid) != told.end()) continue;
      told.push_back(each.pid);
      ::kill(each.pid, by_force ? SIGKILL : SIGTERM);
      ::kill(each.pid, SIGCONT);  // one that is stopped cannot end
    }
    wait_for_all(pause);
  }
  return killed.size();
}

}  // namespace tidewait::command
