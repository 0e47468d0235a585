// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include "report_records.hpp"

namespace tidewait::command {

/// Names the code in the stacks of the records: `place` and `stack` become text for people, such as
/// "server.cpp:12 (server::start)". It asks addr2line(1) of each program and library once, if the
/// file belongs to the caller or to root, nobody else may write it, and it was not built anew after
/// the record; otherwise, or without that tool, module and offset remain. Takes 20 s at most.
/// Returns why all of them remain, if the reader can do something about it; otherwise nothing.
std::string name_code(journal_records& all);

}  // namespace tidewait::command
