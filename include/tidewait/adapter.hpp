// SPDX-License-Identifier: BSL-1.0
#pragma once

// The kit for writers of adapters; docs/adapters.md shows a whole one. Who writes tests needs only
// the header of an adapter.

#include <tidewait/adapter_base.hpp>
#include <tidewait/error.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>
