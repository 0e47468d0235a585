// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds `tidewait gate`, which sets `status` to what the command ends with.
void add_gate(CLI::App& app, int& status);

}  // namespace tidewait::command
