// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/requirements.hpp>

// The headers are complete: without TIDEWAIT_COMPILED every function is inline. With it the larger
// headers only declare, which compiles faster, and src/library/tidewait.cpp has the definitions:
// the CMake targets do that.
#if defined(TIDEWAIT_COMPILED) && defined(_GLIBCXX_DEBUG)
#undef TIDEWAIT_COMPILED  // maybe not set where the library is compiled, and containers differ then
#endif

#ifdef TIDEWAIT_COMPILED
#define TIDEWAIT_INLINE
#else
#define TIDEWAIT_INLINE inline
#endif
