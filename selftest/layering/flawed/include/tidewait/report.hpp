// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/watch.hpp>
