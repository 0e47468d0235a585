// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/text.hpp>

inline int whoever_runs() { return ::getpid(); }
inline const char* wish() { return std::getenv("TIDEWAIT_WISH"); }
