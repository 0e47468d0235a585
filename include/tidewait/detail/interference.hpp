// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the program around does to tidewait itself.
inline void note_interference(shared_state& shared) {
  renew_leases(shared);
  if (renew_run_mark()) {
    shared.told.note("mark",
                     std::string{"the memfd that marks the children of this run was closed and "
                                 "has been opened again; a process forked in between, without "
                                 "exec, is not recognised once its parent has ended: "} +
                         who_closes_locks);
  }
  if (shared.met != nullptr && shared.met->others != 0) {
    shared.told.note(
        "copy", std::string{"another copy of tidewait is in this process ("} + shared.met->other +
                    "; this one is " + shared.met->layout +
                    "), and neither knows of the leases and servers of the other; build "
                    "the program, its libraries and plugins with one version of tidewait "
                    "and one C++ library");
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
