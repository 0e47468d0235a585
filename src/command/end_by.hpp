// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace tidewait::command {

/// Ends this process by a signal, without a core dump of its own; on Windows, which has none, with
/// an exit code that CTest takes for a crash.
[[noreturn]] void end_by(int signal);

}  // namespace tidewait::command
