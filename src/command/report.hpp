// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds `tidewait report`, which sets `status` to what the command ends with.
void add_report(CLI::App& app, int& status);

}  // namespace tidewait::command
