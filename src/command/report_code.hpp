// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "report_records.hpp"

namespace tidewait::command {

/// Names the code in the stacks of the records: `place` and `stack` become text for people, such as
/// "server.cpp:12 (server::start)". It asks addr2line(1) of each program and library once, as long
/// as that belongs to the caller or to root and was not built anew after the record; otherwise, or
/// without that tool, module and offset remain. Takes 20 s at most.
void name_code(journal_records& all);

}  // namespace tidewait::command
