// SPDX-License-Identifier: BSL-1.0
#pragma once

// What each system has of its own for servers, beside <tidewait/detail/process/server_backend.hpp>,
// in `tidewait::detail`:
//
//   share_descriptor, require_room            what a server inherits
//   write_standard_error                      where its lines are passed on to
//   ended_by, asked_by                        how messages call its end
#include <tidewait/detail/os_handles.hpp>

#ifdef TIDEWAIT_NO_LISTEN_FDS  // Windows
#include <tidewait/detail/process/windows/shared_handles.hpp>
#include <tidewait/detail/process/windows/words.hpp>
#else
#include <tidewait/detail/process/linux/spare_descriptors.hpp>
#include <tidewait/detail/process/linux/words.hpp>
#endif
