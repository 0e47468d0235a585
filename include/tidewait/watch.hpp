// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch_class.hpp>

namespace tidewait {
inline namespace v0 {

/// What the test of the calling thread's innermost watch has bound until now, oldest first; a bind
/// that failed is not in it. Only with a witness (<tidewait/witness.hpp>); binds of children that
/// have called exec(2) are not seen.
///
///     ASSERT_EQ(tidewait::bound_by_this_test().size(), 1U);
///     EXPECT_TRUE(only_loopback(tidewait::bound_by_this_test()));
std::vector<bind_record> bound_by_this_test();

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/bound_by_this_test.hpp>
#include <tidewait/detail/impl/watch.hpp>
#endif
