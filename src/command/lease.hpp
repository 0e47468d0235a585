// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds `tidewait lease`, which runs `command` in its own place; it sets `status` only if that
/// fails.
void add_lease(CLI::App& app, int& status, const std::vector<std::string>& command);

}  // namespace tidewait::command
