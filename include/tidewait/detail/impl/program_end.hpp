// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

#include <tidewait/adapter.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/shared_state.hpp>

namespace tidewait {
inline namespace v0 {

TIDEWAIT_INLINE void program_end::ran_all_tests(bool whole) {
  detail::shared_state::instance().counts.ran_all_tests(whole);
}

TIDEWAIT_INLINE void program_end::say_last(const std::string& line) {
  detail::shared_state::instance().counts.say_last(line);
}

TIDEWAIT_INLINE void program_end::later() { detail::shared_state::instance().counts.end_later(); }

TIDEWAIT_INLINE void program_end::now() { detail::shared_state::instance().counts.end(); }

}  // namespace v0
}  // namespace tidewait
