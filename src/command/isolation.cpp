// SPDX-License-Identifier: BSL-1.0
#include "isolation.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/terminate.hpp>

namespace tidewait::command {
namespace {

using detail::unique_fd;

/// What the keeper tells when it has made the namespaces, or could not.
struct outcome {
  isolation_step step = isolation_step::done;
  int error = 0;
};

bool write_file(const std::string& path, std::string_view text) {
  const unique_fd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string identity_map(unsigned id) {
  return std::to_string(id) + ' ' + std::to_string(id) + " 1";
}

bool bring_loopback_up() {
  const unique_fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  if (::ioctl(any.get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ::ioctl(any.get(), SIOCSIFFLAGS, &request) == 0;
}

/// In the keeper: leaves the namespaces of its parent.
outcome make_namespaces() {
  // Whoever may do without a user namespace keeps all its rights and sees all users unchanged.
  if (::unshare(CLONE_NEWNET) != 0) {
    if (errno != EPERM) return {isolation_step::make_network, errno};
    const auto uid = ::geteuid();
    const auto gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return {isolation_step::make_user, errno};
    // user_namespaces(7): without setgroups denied, an unprivileged process may not map groups.
    write_file(detail::proc_path("thread-self/setgroups"), "deny");
    if (!write_file(detail::proc_path("thread-self/uid_map"), identity_map(uid)) ||
        !write_file(detail::proc_path("thread-self/gid_map"), identity_map(gid))) {
      return {isolation_step::map_user, errno};
    }
  }
  if (!bring_loopback_up()) return {isolation_step::loopback_up, errno};
  return {};
}

/// Whether a process belongs to what the launcher ran: it is in the keeper's network namespace, or
/// in one that was made inside it, and carries the launcher's mark.
bool is_inside(int process, std::uint64_t net_namespace, const std::string& mark) {
  const unique_fd thread = detail::open_live_thread(process);
  const int shown = thread ? thread.get() : process;
  struct stat info {};
  if (::fstatat(shown, "ns/net", &info, 0) == 0 && info.st_ino == net_namespace) return true;
  std::string text;
  static_cast<void>(detail::read_environment(process, text));
  return detail::environment_has_mark(text, mark) && detail::is_of_own_user(process);
}

/// Ends whatever is alive inside, and what it starts meanwhile.
void end_all_inside(const std::string& mark) {
  const std::uint64_t net_namespace = detail::current_net_namespace();
  if (net_namespace == 0) return;
  detail::process_walker walker;
  detail::termination_rules rules;
  rules.grace = std::chrono::milliseconds{0};
  detail::terminate(
      [&](const auto& found) {
        return walker.walk([&](detail::living_process&& each) {
          if (!is_inside(each.directory.get(), net_namespace, mark)) {
            return detail::membership::undecided;
          }
          found(std::move(each));
          return detail::membership::member;
        });
      },
      rules);
}

/// The keeper: makes the namespaces and stays until its parent says goodbye, or is gone.
int keep(void* argument) {
  const int* const ends = static_cast<const int*>(argument);
  ::close(ends[0]);  // its copy of the parent's end would keep the line open
  const unique_fd line{ends[1]};
  ::setsid();  // what is sent to the launcher's group is not for the keeper
  ::prctl(PR_SET_NAME, "tidewait-keeper");
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const outcome made = make_namespaces();
  // What it keeps may have stopped it: it goes on when its parent dies. (A change of credentials,
  // as it was until here, would forget this.)
  ::prctl(PR_SET_PDEATHSIG, SIGCONT);
  if (::send(line.get(), &made, sizeof made, MSG_NOSIGNAL) < 0) ::_exit(1);
  if (made.step != isolation_step::done) ::_exit(0);
  // Its standard streams may be a pipe that somebody reads to the end.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
  char goodbye = 0;
  ssize_t got = 0;
  do {
    got = ::recv(line.get(), &goodbye, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) end_all_inside(detail::ensure_run_mark());
  ::_exit(0);
}

/// Tells the keeper to go. It may have been stopped, by what it keeps: it gets so long, then it is
/// killed. (It is our own child, not yet waited for: the pid is its.)
void dismiss_keeper(pid_t keeper, const unique_fd& line) {
  const char goodbye = 0;
  static_cast<void>(::send(line.get(), &goodbye, 1, MSG_NOSIGNAL));
  constexpr int most_ms = 1000;
  pollfd gone{line.get(), POLLIN, 0};  // its end of the line is closed when it ends
  int ready = 0;
  do {
    ready = ::poll(&gone, 1, most_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) ::kill(keeper, SIGKILL);
  while (::waitpid(keeper, nullptr, static_cast<int>(__WCLONE)) < 0 && errno == EINTR) {
  }
}

constexpr std::array port_rule_names{"ip_local_port_range", "ip_local_reserved_ports",
                                     "ip_unprivileged_port_start"};

std::string port_rule(const char* name) {
  std::string text;
  detail::read_file(AT_FDCWD, (detail::proc_path("sys/net/ipv4/") + name).c_str(), text);
  return text;
}

}  // namespace

std::string isolation::enter() {
  detail::ensure_run_mark();  // the keeper tells by it what belongs to this run
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return "no socket pair: " + detail::last_error().message();
  }
  unique_fd ours{ends[0]};
  unique_fd theirs{ends[1]};
  // Without SIGCHLD as its exit signal it is a "clone child", which wait(2) does not show: whoever
  // waits for the last process of the tree need not know of it.
  constexpr std::size_t stack_size = std::size_t{256} * 1024;
  const std::unique_ptr<char[]> stack{new char[stack_size]};
  // A copy of this process, with its own copy of the stack: ours is free when the call returns.
  const pid_t keeper =
      ::clone([](void* line) { return keep(line); }, stack.get() + stack_size, 0, ends);
  if (keeper < 0) return "no process: " + detail::last_error().message();
  theirs.reset();

  outcome made{isolation_step::enter, ECHILD};
  ssize_t got = 0;
  do {
    got = ::recv(ours.get(), &made, sizeof made, 0);
  } while (got < 0 && errno == EINTR);
  std::array<std::string, port_rule_names.size()> rules;
  for (std::size_t i = 0; i < rules.size(); ++i) rules[i] = port_rule(port_rule_names[i]);
  if (made.step == isolation_step::done) {
    const unique_fd process{static_cast<int>(::syscall(SYS_pidfd_open, keeper, 0))};
    // With the right to do without a user namespace there is none to enter.
    if (!process || (::setns(process.get(), CLONE_NEWUSER | CLONE_NEWNET) != 0 &&
                     ::setns(process.get(), CLONE_NEWNET) != 0)) {
      made = {isolation_step::enter, errno};
    }
  }
  if (made.step != isolation_step::done) {
    dismiss_keeper(keeper, ours);
    return explain_denial(made.step, made.error, read_isolation_rules());
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (port_rule(port_rule_names[i]) == rules[i]) continue;
    write_file(detail::proc_path("sys/net/ipv4/") + port_rule_names[i], rules[i]);
  }
  ::setenv(detail::private_namespace_variable,
           std::to_string(detail::current_net_namespace()).c_str(), 1);
  keeper_ = keeper;
  keeper_line_ = std::move(ours);
  return {};
}

isolation::~isolation() {
  if (keeper_ != 0) dismiss_keeper(keeper_, keeper_line_);
}

isolation_rules read_isolation_rules() {
  isolation_rules rules;
  const auto read = [](const char* file, std::string& text) {
    detail::read_file(AT_FDCWD, detail::proc_path(file).c_str(), text);
    while (!text.empty() && text.back() == '\n') text.pop_back();
  };
  read("sys/user/max_user_namespaces", rules.max_user_namespaces);
  read("sys/user/max_net_namespaces", rules.max_net_namespaces);
  read("sys/kernel/unprivileged_userns_clone", rules.unprivileged_userns);
  read("sys/kernel/apparmor_restrict_unprivileged_userns", rules.apparmor_userns);
  read("self/status", rules.process_status);
  return rules;
}

std::string explain_denial(isolation_step step, int error, const isolation_rules& rules) {
  const std::string said = std::error_code{error, std::system_category()}.message();
  const bool permission = error == EPERM || error == EACCES;
  if (error == EINVAL || error == ENOSYS) {
    return "the kernel has no user and network namespaces, or is older than 5.8 (" + said + ')';
  }
  if (error == ENOSPC || error == EUSERS) {
    if (rules.max_user_namespaces == "0") {
      return "user.max_user_namespaces=0 forbids user namespaces; raise it: sysctl -w "
             "user.max_user_namespaces=10000";
    }
    if (rules.max_net_namespaces == "0") {
      return "user.max_net_namespaces=0 forbids network namespaces; raise it: sysctl -w "
             "user.max_net_namespaces=10000";
    }
    return "there are too many namespaces, or they are nested too deeply "
           "(user.max_user_namespaces=" +
           rules.max_user_namespaces + ", user.max_net_namespaces=" + rules.max_net_namespaces +
           "; at most 32 levels)";
  }
  if (permission && rules.apparmor_userns == "1") {
    return "AppArmor keeps unprivileged user namespaces from having rights "
           "(kernel.apparmor_restrict_unprivileged_userns=1, as on Ubuntu 24.04); allow them: "
           "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile for tidewait "
           "with `userns,`";
  }
  if (permission && step == isolation_step::make_user && rules.unprivileged_userns == "0") {
    return "kernel.unprivileged_userns_clone=0 forbids unprivileged user namespaces; allow them: "
           "sysctl -w kernel.unprivileged_userns_clone=1";
  }
  const auto seccomp = rules.process_status.find("\nSeccomp:\t2");
  if (permission && seccomp != std::string::npos) {
    return "a seccomp filter forbids new namespaces (containers: docker run --security-opt "
           "seccomp=unconfined, or --cap-add SYS_ADMIN)";
  }
  if (permission && step == isolation_step::make_user) {
    return "the system denies user namespaces (" + said +
           "): in a chroot they are forbidden, otherwise ask its security module";
  }
  constexpr const char* doing[] = {"",
                                   "making a network namespace",
                                   "making a user namespace",
                                   "mapping the user into it",
                                   "bringing the loopback up",
                                   "entering it"};
  return std::string{doing[static_cast<std::size_t>(step)]} + ": " + said;
}

}  // namespace tidewait::command
