// SPDX-License-Identifier: BSL-1.0
#if __cplusplus >= 201703L
#error "the project keeps its standard"
#endif
#include "gtest_cases.cpp"
