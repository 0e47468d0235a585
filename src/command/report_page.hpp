// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace tidewait::command {

/// The style sheet and the script of a report's page.
extern const char* const page_style;
extern const char* const page_script;

}  // namespace tidewait::command
