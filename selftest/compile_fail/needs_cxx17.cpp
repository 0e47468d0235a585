// expect: tidewait needs C..17: compile with -std=c..17
// flag: -std=c++14
// lines: 12
// SPDX-License-Identifier: BSL-1.0
#ifdef TWIN
#include <tidewait/version.hpp>
#else
#include <tidewait/gtest.hpp>
#endif
