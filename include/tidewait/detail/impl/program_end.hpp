// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include <tidewait/adapter.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/os_calls.hpp>
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

struct exit_check::state {
  int pid = 0;  ///< A child of fork() inherits all this, and must not act on it.
  std::optional<watch> look{};
  bool armed = false;
  bool failed = false;
  std::string text{};
};

/// Never destroyed: it is used when everything else has been.
TIDEWAIT_INLINE exit_check::state& exit_check::instance() {
  static state& only = *new state;
  return only;
}

TIDEWAIT_INLINE bool exit_check::begin(policy rules) {
  state& all = instance();
  if (all.look) return false;
  all.pid = detail::process_id();
  all.look.emplace(std::move(rules), test_id::not_a_test("the test program"), look_depth::thorough);
  program_end::later();
  return true;
}

TIDEWAIT_INLINE void exit_check::arm() noexcept { instance().armed = true; }

TIDEWAIT_INLINE void exit_check::add(const report& found) {
  state& all = instance();
  all.pid = detail::process_id();
  if (!found.silent()) all.text += render(found);
  all.failed = all.failed || !found.clean();
}

TIDEWAIT_INLINE void exit_check::end() {
  state& all = instance();
  if (all.pid != detail::process_id()) return;
  if (all.look && std::exchange(all.armed, false)) add(all.look->look());
  all.look.reset();
  std::fputs(std::exchange(all.text, {}).c_str(), stderr);
  const bool failed = std::exchange(all.failed, false);
  if (failed) {
    program_end::say_last("exit code " + std::to_string(left_behind_exit_code) +
                          ": no test could be failed for what was found outside of tests");
  }
  program_end::now();
  if (!failed) return;
  std::fflush(nullptr);
  std::_Exit(left_behind_exit_code);
}

}  // namespace v0
}  // namespace tidewait
