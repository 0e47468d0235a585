// SPDX-License-Identifier: BSL-1.0
#pragma once

// Included first by every public header: what tidewait cannot be compiled with ends here, in one
// sentence. A missing file, unlike #error, keeps the compiler from going on.
#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error \
    "tidewait needs C++17: compile with -std=c++17 (CMake: target_compile_options(<target> PRIVATE -std=c++17))"
#include <see_the_error_above>
#elif !defined(__cpp_exceptions)
#error \
    "tidewait needs exceptions: compile with -fexceptions (CMake: target_compile_options(<target> PRIVATE -fexceptions))"
#include <see_the_error_above>
#endif
