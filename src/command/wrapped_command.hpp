// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
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

}  // namespace tidewait::command
