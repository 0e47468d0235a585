// SPDX-License-Identifier: BSL-1.0
#pragma once

// What each system has of its own for servers, beside <tidewait/detail/process/server_backend.hpp>,
// in `tidewait::process_impl`, and the name of what is included there:
//
//   share_descriptor, require_room            what a server inherits
//   write_standard_error                      where its lines are passed on to
//   ended_by, asked_by                        how messages call its end
#include <tidewait/detail/os.hpp>

#include TIDEWAIT_OS_BACKEND
