// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

// Boost.Process as it was from 1.64 on; since 1.86 it is to be found under v1.
#if __has_include(<boost/process/v1/child.hpp>)
#include <boost/process/v1/child.hpp>
#include <boost/process/v1/error.hpp>
#include <boost/process/v1/extend.hpp>
#define TIDEWAIT_BOOST_PROCESS boost::process::v1
#else
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/extend.hpp>
#define TIDEWAIT_BOOST_PROCESS boost::process
#endif

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/process/linux/server_processes.hpp>
#include <tidewait/detail/process/linux/spare_descriptors.hpp>
#include <tidewait/server_options.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

namespace boost_process = TIDEWAIT_BOOST_PROCESS;
#undef TIDEWAIT_BOOST_PROCESS

/// What to start, ready to be used between fork() and exec(), where nothing may be allocated.
struct launch_plan {
  std::string program{};                   ///< A path.
  std::vector<std::string> arguments{};    ///< The program's own name first.
  std::vector<std::string> environment{};  ///< "NAME=value".
  std::string directory{};                 ///< Empty: stay.
  std::vector<int> sockets{};              ///< They become 3, 4, …
  std::vector<int> locks{};                ///< They keep their numbers.
  std::string memfd{};        ///< Name of the file that marks the processes of the server.
  int stop_signal = SIGTERM;  ///< What the server gets when this process dies.
};

inline constexpr std::string_view listen_pid = "LISTEN_PID=";

enum class launch_step : int { none, grouping, entering, arranging, executing };

using detail::to_text;
inline const char* to_text(launch_step step) noexcept {
  switch (step) {
    case launch_step::grouping: return "giving it a process group";
    case launch_step::entering: return "entering its working directory";
    case launch_step::arranging: return "arranging its descriptors";
    case launch_step::executing: return "executing it";
    case launch_step::none: break;
  }
  return "creating a process";
}

struct launched {
  int pid = -1;
  unique_fd output{};  ///< The end of the pipe to read from; does not block.
  std::error_code error{};
  launch_step failed = launch_step::none;
};

/// Moves a descriptor out of the way of those that a server finds at fixed numbers.
inline unique_fd lifted(unique_fd fd) {
  return fd ? unique_fd{::fcntl(fd.get(), F_DUPFD_CLOEXEC, first_spare_descriptor)} : std::move(fd);
}

/// The handler that Boost.Process calls on both sides of the fork. What runs in the child uses
/// async-signal-safe calls only, since other threads may hold any lock (signal-safety(7)).
struct launcher : boost_process::extend::handler {
  struct failure {
    launch_step step;
    int error;
  };

  const launch_plan* plan;
  std::vector<char*> arguments{};
  std::vector<char*> environment{};
  char* listen_pid_digits = nullptr;
  int parent = 0;
  unique_fd input{};
  unique_fd output{};
  unique_fd status{};  ///< Closed by exec; what went wrong before is written to it.
  int fork_error = 0;

  launcher(const launcher&) = delete;
  launcher& operator=(const launcher&) = delete;
  explicit launcher(launch_plan& what) : plan{&what}, parent{::getpid()} {
    for (std::string& each : what.arguments) arguments.push_back(each.data());
    for (std::string& each : what.environment) {
      environment.push_back(each.data());
      if (std::string_view{each}.substr(0, listen_pid.size()) == listen_pid) {
        listen_pid_digits = each.data() + listen_pid.size();
      }
    }
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
  }

  template <typename Executor>
  void on_setup(Executor& executor) {
    executor.exe = plan->program.c_str();
    executor.cmd_line = arguments.data();
    executor.env = environment.data();
  }
  template <typename Executor>
  void on_fork_error(Executor&, const std::error_code& error) {
    fork_error = error.value();
  }
  template <typename Executor>
  void on_exec_setup(Executor&) noexcept {
    prepare_child();
  }
  template <typename Executor>
  void on_exec_error(Executor&, const std::error_code& error) noexcept {
    fail(launch_step::executing, error.value());
  }

 private:
  [[noreturn]] void fail(launch_step step, int error) const noexcept {
    const failure what{step, error};
    while (::write(status.get(), &what, sizeof what) < 0 && errno == EINTR) {
    }
    ::_exit(127);
  }
  void require(bool done, launch_step step) const noexcept {
    if (!done) fail(step, errno);
  }

  void prepare_child() noexcept {
    require(::setpgid(0, 0) == 0, launch_step::grouping);
    // The thread that forks lives as long as the server: its death is that of the whole process.
    ::prctl(PR_SET_PDEATHSIG, plan->stop_signal);
    if (::getppid() != parent) ::_exit(127);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    require(plan->directory.empty() || ::chdir(plan->directory.c_str()) == 0,
            launch_step::entering);
    close_at_exec_from_3();
    bool arranged =
        ::dup2(input.get(), 0) == 0 && ::dup2(output.get(), 1) == 1 && ::dup2(output.get(), 2) == 2;
    int next = 3;
    for (const int socket : plan->sockets) arranged = arranged && ::dup2(socket, next++) >= 0;
    for (const int lock : plan->locks) arranged = arranged && ::fcntl(lock, F_SETFD, 0) == 0;
    require(arranged, launch_step::arranging);
    leave_mark();
    if (listen_pid_digits != nullptr) write_number(listen_pid_digits, ::getpid());
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  static void close_at_exec_from_3() noexcept {
#ifdef SYS_close_range
    constexpr unsigned close_range_cloexec = 1U << 2U;
    if (::syscall(SYS_close_range, 3U, ~0U, close_range_cloexec) == 0) return;
#endif
    rlimit most{};  // before Linux 5.11
    ::getrlimit(RLIMIT_NOFILE, &most);
    for (rlim_t fd = 3; fd < most.rlim_cur; ++fd)
      ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
  }

  /// Made here and not before the fork: whoever else forks from this process must not carry it.
  void leave_mark() const noexcept {
    const int low = ::memfd_create(plan->memfd.c_str(), 0);
    if (low >= 0 && ::fcntl(low, F_DUPFD, 512) >= 0) ::close(low);
  }

  static void write_number(char* to, int value) noexcept {
    char digits[16];
    int count = 0;
    for (; value != 0; value /= 10) digits[count++] = static_cast<char>('0' + value % 10);
    while (count != 0) *to++ = digits[--count];
    *to = '\0';
  }
};

/// Whether the process has left the program that forked it behind (PF_FORKNOEXEC, sched.h).
inline bool has_executed(int pid) {
  constexpr std::uint32_t fork_no_exec = 0x40;
  const auto stat = read_process_stat(open_process(pid).get());
  return !stat || (stat->flags & fork_no_exec) == 0;
}

/// What the child wrote before its exec. Usually the end of the pipe tells that there was nothing;
/// but a fork in another thread may hold a copy of it for long, and so does not hold us.
inline launcher::failure await_exec(int status, int pid) {
  launcher::failure what{launch_step::none, 0};
  pollfd readable{status, POLLIN, 0};
  constexpr int patience_ms = 20;
  for (;;) {
    const int events = ::poll(&readable, 1, patience_ms);
    if (events > 0) {
      while (::read(status, &what, sizeof what) < 0 && errno == EINTR) {
      }
      return what;
    }
    if (has_executed(pid) && ::poll(&readable, 1, 0) == 0) return what;
  }
}

/// Starts a program by Boost.Process, in a process group of its own. It inherits what the plan
/// names and nothing else: standard input is empty, standard output and error are one pipe.
inline launched launch(launch_plan& plan) {
  launched result;
  launcher handler{plan};
  int ends[2] = {-1, -1};
  const auto make_pipe = [&](unique_fd& read_end, unique_fd& write_end) {
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = lifted(unique_fd{ends[0]});
    write_end = lifted(unique_fd{ends[1]});
    return read_end && write_end;
  };
  unique_fd status{};
  handler.input = lifted(unique_fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)});
  if (!handler.input || !make_pipe(result.output, handler.output) ||
      !make_pipe(status, handler.status) ||
      ::fcntl(result.output.get(), F_SETFL, O_NONBLOCK) != 0) {
    result.error = last_error();
    result.failed = launch_step::arranging;
    return result;
  }
  // Boost's own pipe for errors is not close-on-exec from the start, hence ignore_error and ours.
  boost_process::child child{handler, boost_process::ignore_error};
  handler.input.reset();
  handler.output.reset();
  handler.status.reset();
  if (!child.valid()) {
    result.error = {handler.fork_error, std::system_category()};
    return result;
  }
  const int pid = child.id();
  child.detach();  // waited for by waitid(2), so that its pid stays its own meanwhile
  const launcher::failure what = await_exec(status.get(), pid);
  if (what.step == launch_step::none) {
    result.pid = pid;
  } else {
    ::waitpid(pid, nullptr, 0);
    result.error = {what.error, std::system_category()};
    result.failed = what.step;
  }
  return result;
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
