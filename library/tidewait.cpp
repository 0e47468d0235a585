// SPDX-License-Identifier: BSL-1.0
//
// The definitions that <tidewait/detail/compiled.hpp> speaks of.
#include <tidewait/detail/compiled.hpp>

#ifdef TIDEWAIT_COMPILED
#include <tidewait/impl/diagnosis.hpp>
#include <tidewait/impl/endpoint.hpp>
#include <tidewait/impl/obstacle.hpp>
#include <tidewait/impl/policy.hpp>
#include <tidewait/impl/port_lease.hpp>
#include <tidewait/impl/report.hpp>
#include <tidewait/impl/watch.hpp>
#endif
