// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds `tidewait known`, which keeps a file of known findings, and sets `status` to what the
/// command ends with. `command`: what stood behind "--".
void add_known(CLI::App& app, int& status, const std::vector<std::string>& command);

}  // namespace tidewait::command
