// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Records each bind(2) and listen(2) of this program: when, from which line, with which options,
/// and how it ended. A report then says where a socket was opened, a TIME_WAIT is ascribed to the
/// test that bound its port, and a bind that failed is explained.
///
/// Include it in one source file of the program: it defines `bind` and `listen`. Both are weak, so
/// a program that defines its own, to mock them, keeps those, and reports say that binds are not
/// witnessed. They call what would have been called without them. Through CMake nothing has to be
/// included: the adapters' targets bring this along, unless TIDEWAIT_WITNESS is OFF there.
///
/// At run time TIDEWAIT_WITNESS=off turns it off, and TIDEWAIT_STACK=off leaves out the call
/// stacks.
#include <tidewait/detail/witnessed_calls.hpp>
