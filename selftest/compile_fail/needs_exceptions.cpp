// expect: tidewait needs exceptions: compile with -fexceptions
// flag: -fno-exceptions
// lines: 12
// SPDX-License-Identifier: BSL-1.0
#ifdef TWIN
#include <tidewait/version.hpp>
#else
#include <tidewait/gtest.hpp>
#endif
