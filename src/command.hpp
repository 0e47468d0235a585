// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string_view>

namespace tidewait::command {

/// What the command ends with, the same for every subcommand. tidewait(1) documents them.
namespace exit_code {
inline constexpr int fine = 0;          ///< What was asked for is so.
inline constexpr int bad = 1;           ///< It is not so: the bind would fail, something was left.
inline constexpr int usage = 2;         ///< The command line cannot be understood.
inline constexpr int cannot_look = 3;   ///< Nothing can be said: no access, no output.
inline constexpr int left_behind = 97;  ///< `run`, whose other codes are those of its command.
}  // namespace exit_code

/// Writes to standard output. Throws `std::system_error` if not all of it could be written: a full
/// disk must not look like an empty answer.
void print(std::string_view text);

}  // namespace tidewait::command
