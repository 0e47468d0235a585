// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds the subcommands that this system has; each sets `status` to what the command ends with.
/// `wrapped`: what stands behind "--".
void add_verbs(CLI::App& app, int& status, const std::vector<std::string>& wrapped);

}  // namespace tidewait::command
