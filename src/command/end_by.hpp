// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace tidewait::command {

/// Ends this process by a signal, without a core dump of its own.
[[noreturn]] void end_by(int signal);

}  // namespace tidewait::command
