// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/watch.hpp>

inline int umbrella = 1;
