// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace tidewait::command {

/// Takes what stands behind the first "--" off the command line of `tidewait run` or `lease`,
/// before an option parser sees it: the arguments of somebody else's command mean nothing to it, as
/// "[net]" does. Of the other subcommands it takes nothing: they run no command.
std::vector<std::string> take_wrapped_command(int& argc, const char* const* argv);

/// Puts port numbers into a command: each "{port:0}" in an argument becomes the first, and
/// TIDEWAIT_PORT_0 … in the environment say the same to a command that takes no arguments.
/// Throws `usage_error` if an argument asks for a port that is not there.
void hand_over_ports(std::vector<std::string>& command, const std::vector<std::uint16_t>& ports);

/// Becomes the command (PATH is searched). Returns only if that cannot be: why.
std::error_code become(const std::vector<std::string>& command);

/// What a shell ends with if a command cannot be run for that reason: 127 if there is none such,
/// otherwise 126.
int exit_code_of(const std::error_code& cannot_run);

/// Ends this process by a signal, without a core dump of its own.
[[noreturn]] void end_by(int signal);

}  // namespace tidewait::command
