// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/watch.hpp>

// Neither of these is what error.hpp promises; the last two are no out-parameters.
diagnosis explain(const bind_request& request, visibility* seen = nullptr);
socket_table current(socket_query query, std::error_code& error);
void render(const report& found, const std::error_code& error);
void name(const char* text, const visibility* seen);
