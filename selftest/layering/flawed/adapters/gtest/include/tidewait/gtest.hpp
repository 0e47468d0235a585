// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <gtest/gtest.h>

#include <tidewait/catch2.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/watch.hpp>

inline auto& reached_for() { return tidewait::detail::shared_state::instance(); }
