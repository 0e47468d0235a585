// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <CLI/CLI.hpp>

namespace tidewait::command {

/// Adds `tidewait policy check`: reads rules as TIDEWAIT_POLICY has them. Throws `usage_error` that
/// quotes what cannot be read.
void add_policy(CLI::App& app, int& status);

}  // namespace tidewait::command
