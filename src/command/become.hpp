// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <system_error>
#include <vector>

#include <tidewait/detail/os_handles.hpp>

namespace tidewait::command {

/// Sets a variable for this process and the command. Throws `std::system_error`.
void set_variable(const std::string& name, const std::string& value);

/// Takes a variable out of the environment of this process and of the command.
void clear_variable(const std::string& name) noexcept;

/// Has the command inherit the lock of a lease. Throws `std::system_error`.
void hand_on(detail::native_handle lock);

/// Becomes the command (PATH is searched); on Windows, where no process becomes another program,
/// runs it and ends as it ended. Returns only if that cannot be: why.
std::error_code become(const std::vector<std::string>& command);

/// What a shell ends with if a command cannot be run for that reason: 127 if there is none such,
/// otherwise 126.
int exit_code_of(const std::error_code& cannot_run);

}  // namespace tidewait::command
