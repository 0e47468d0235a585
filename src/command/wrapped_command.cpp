// SPDX-License-Identifier: BSL-1.0
#include "wrapped_command.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

#include "command.hpp"

namespace tidewait::command {

std::vector<std::string> take_wrapped_command(int& argc, const char* const* argv) {
  const std::string_view subcommand = argc > 1 ? argv[1] : "";
  if (subcommand != "run" && subcommand != "lease") return {};
  for (int i = 2; i < argc; ++i) {
    if (std::string_view{argv[i]} != "--") continue;
    std::vector<std::string> command{argv + i + 1, argv + argc};
    argc = i;
    return command;
  }
  return {};
}

void hand_over_ports(std::vector<std::string>& command, const std::vector<std::uint16_t>& ports) {
  constexpr std::string_view opening = "{port:";
  for (std::string& argument : command) {
    for (auto at = argument.find(opening); at != std::string::npos;
         at = argument.find(opening, at)) {
      std::string_view rest = std::string_view{argument}.substr(at + opening.size());
      const auto index = detail::take_number(rest, 65535);
      if (!index || rest.empty() || rest.front() != '}') {  // somebody else's braces
        at += opening.size();
        continue;
      }
      if (*index >= ports.size()) {
        throw usage_error{"{port:" + std::to_string(*index) + "} in '" + argument + "', but " +
                          detail::counted(ports.size(), "port") +
                          (ports.size() == 1 ? " is" : " are") + " leased, counted from 0"};
      }
      const std::size_t length = argument.size() - rest.size() + 1 - at;
      argument.replace(at, length, std::to_string(ports[*index]));
    }
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string name = "TIDEWAIT_PORT_" + std::to_string(i);
    if (::setenv(name.c_str(), std::to_string(ports[i]).c_str(), 1) != 0)
      throw std::system_error{detail::last_error(), "setting " + name + " (setenv)"};
  }
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
