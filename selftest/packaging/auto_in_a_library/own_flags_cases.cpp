// SPDX-License-Identifier: BSL-1.0
#if __cplusplus / 100 - 2000 != STANDARD
#error "the project keeps its standard"
#endif
#if defined(NO_EXCEPTIONS) == defined(__cpp_exceptions)
#error "the project keeps its exceptions off"
#endif
#include "gtest_cases.cpp"
