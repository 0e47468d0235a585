// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/watch_class.hpp>

namespace tidewait {
inline namespace v0 {

/// The test that runs now in a framework whose tests have sections and run once for each of them
/// (Catch2): what its listener tells, and what is made of it. It knows no header of the framework,
/// so that it is compiled once. One per program; used by one thread at a time.
class sectioned_test {
 public:
  /// Has the framework take note of a text for the test that runs now, as a failure or a warning.
  /// It may throw.
  using take_note = void (*)(bool fails, std::string text, const char* file, std::size_t line);

  /// A test case begins. `file` must stay valid as long as the program runs.
  static void begin(std::string name, std::vector<std::string> tags, bool may_fail,
                    const char* file, std::size_t line);
  /// A section begins. The first one is the test case itself, and begins a pass.
  static void begin_section(const std::string& name);
  /// An assertion of this pass has failed; `fatal`: a signal is being handled.
  static void note_failure(bool fatal) noexcept;
  /// What the end of a section came to: failures that were made of reports.
  struct failures {
    std::size_t now = 0;      ///< By this call.
    std::size_t all = 0;      ///< In this test case.
    bool pass_ended = false;  ///< The section was the test case itself.
  };
  /// A section ends; `failed` says whether an assertion in it failed. With the section that is the
  /// test case itself the pass ends, and is judged.
  static failures end_section(bool failed, take_note note);
  /// The test case has ended.
  static void end() noexcept;

  /// Looks, and turns what it finds into a failure of the test that runs now; warnings and notes
  /// alone become a warning. Where a failure would not count (in a test that may fail, outside of a
  /// test) the program fails at its end. Never throws: it is called from destructors.
  static void look_and_raise(watch& over, take_note note) noexcept;

  /// Whether a listener has announced a test case.
  static bool known() noexcept;
  /// The name of the test case; empty outside of one.
  static const std::string& name() noexcept;
  /// The tags of the test case.
  static const std::vector<std::string>& tags() noexcept;

  /// Has each pass of each test case watched, and the end of the program. The first call counts.
  static void watch_every_test(policy rules);

 private:
  struct state;
  static state& now();
  static void raise(report found, take_note note) noexcept;
};

/// The text without its empty lines and the line breaks at its end: the console of Catch2 does not
/// indent a line that follows an empty one.
std::string without_empty_lines(std::string text);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/sectioned_test.hpp>
#endif
