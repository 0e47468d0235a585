// SPDX-License-Identifier: BSL-1.0
#include "wrapped_command.hpp"

#include <string_view>

#include <tidewait/detail/number.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

#include "become.hpp"
#include "command.hpp"

namespace tidewait::command {

std::vector<std::string> take_wrapped_command(int& argc, const char* const* argv) {
  const std::string_view subcommand = argc > 1 ? argv[1] : "";
  if (subcommand != "run" && subcommand != "lease" && subcommand != "known") return {};
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
    set_variable(name, std::to_string(ports[i]));
  }
}

}  // namespace tidewait::command
