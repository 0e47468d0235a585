// SPDX-License-Identifier: BSL-1.0
#include "become.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

#include <tidewait/detail/linux/system.hpp>

#include "end_by.hpp"

namespace tidewait::command {

void set_variable(const std::string& name, const std::string& value) {
  if (::setenv(name.c_str(), value.c_str(), 1) != 0)
    throw std::system_error{detail::last_error(), "setting " + name + " (setenv)"};
}

void clear_variable(const std::string& name) noexcept { ::unsetenv(name.c_str()); }

void hand_on(detail::native_handle lock) {
  if (::fcntl(lock, F_SETFD, 0) != 0)
    throw std::system_error{detail::last_error(), "handing a lease on (fcntl)"};
}

std::error_code become(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  return detail::last_error();
}

int exit_code_of(const std::error_code& cannot_run) {
  return cannot_run == std::errc::no_such_file_or_directory ? 127 : 126;
}

void end_by(int signal) {
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(signal, &by_default, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  std::_Exit(128 + signal);  // one that does not end a process, such as SIGCHLD
}

}  // namespace tidewait::command
