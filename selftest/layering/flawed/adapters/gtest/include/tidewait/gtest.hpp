// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <gtest/gtest.h>

#include <tidewait/catch2.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
namespace detail {
inline int not_the_cores = 0;
}  // namespace detail
}  // namespace tidewait

inline auto& reached_for() { return tidewait::detail::shared_state::instance(); }
