// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/adapter_base.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>
#include <tidewait/sectioned_test.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
inline namespace v0 {

/// Nothing of it is known if there is no listener: in Catch2 2.13, if every translation unit
/// includes <catch2/catch.hpp> before <tidewait/catch2.hpp>.
struct sectioned_test::state {
  bool known = false;
  bool may_fail = false;  ///< [!mayfail], [!shouldfail]: a failure would not count.
  bool failed = false;    ///< An assertion of this pass has failed.
  bool fatal = false;     ///< A signal is being handled.
  std::string name{};
  std::vector<std::string> tags{};
  const char* file = "tidewait";
  std::size_t line = 1;
  std::size_t failures = 0;         ///< That were made of reports.
  std::size_t depth = 0;            ///< Of open sections, the test case itself included.
  std::vector<std::string> path{};  ///< The sections of this pass.
  std::vector<std::pair<std::string, std::size_t>>
      passes{};                ///< How many there were, for each path.
  std::vector<report> held{};  ///< Found while an exception was on its way to the framework.
  std::unique_ptr<watch> pass{};
  std::optional<policy> rules{};  ///< Of every test, once they are to be watched.

  /// A section at the current depth; those of GIVEN and WHEN are named with an indentation.
  void enter(const std::string& section) {
    path.resize(depth - 2);
    path.push_back(section.substr(std::min(section.find_first_not_of(' '), section.size())));
  }

  /// "name / section / section (pass 3)". Passes on the same path come from a generator.
  std::string full_name() {
    std::string text = name;
    for (const std::string& each : path) text += " / " + each;
    const std::size_t before = passes_before();
    return before == 0 ? text : text + " (pass " + std::to_string(before + 1) + ')';
  }

  std::size_t& passes_before() {
    std::string key;
    for (const std::string& each : path) key += each + '\n';
    for (auto& [known_path, count] : passes) {
      if (known_path == key) return count;
    }
    return passes.emplace_back(std::move(key), 0).second;
  }

  void tell(const report& found, const std::string& text, take_note note) {
    if (!found.clean()) ++failures;
    note(!found.clean(), without_empty_lines(text), file, line);
  }
};

/// Never destroyed: globals may look, too.
TIDEWAIT_INLINE sectioned_test::state& sectioned_test::now() {
  static state& only = *new state;
  return only;
}

TIDEWAIT_INLINE void sectioned_test::begin(std::string name, std::vector<std::string> tags,
                                           bool may_fail, const char* file, std::size_t line) {
  state begun;
  begun.known = true;
  begun.may_fail = may_fail;
  begun.name = std::move(name);
  begun.tags = std::move(tags);
  begun.file = file;
  begun.line = line;
  begun.rules = std::move(now().rules);
  now() = std::move(begun);
}

TIDEWAIT_INLINE void sectioned_test::begin_section(const std::string& name) {
  state& test = now();
  if (test.depth++ != 0) return test.enter(name);
  test.path.clear();
  test.failed = false;
  if (test.rules) test.pass = std::make_unique<watch>(*test.rules, test_id{test.name, test.tags});
}

TIDEWAIT_INLINE void sectioned_test::note_failure(bool fatal) noexcept {
  now().failed = true;
  if (fatal) now().fatal = true;
}

TIDEWAIT_INLINE sectioned_test::failures sectioned_test::end_section(bool failed, take_note note) {
  state& test = now();
  if (test.fatal) return {};
  if (test.depth != 1) {
    --test.depth;
    return {};
  }
  const std::size_t before = test.failures;
  for (report& each : std::exchange(test.held, {})) raise(std::move(each), note);
  if (test.pass) {
    if (failed) test.pass->cut_short();
    report found = test.pass->look();
    found.rules = rule_form::text;
    raise(std::move(found), note);
  }
  test.pass.reset();
  ++test.passes_before();
  --test.depth;
  return {test.failures - before, test.failures, true};
}

TIDEWAIT_INLINE void sectioned_test::end() noexcept { now().name.clear(); }

TIDEWAIT_INLINE void sectioned_test::look_and_raise(watch& over, take_note note) noexcept {
  raise(over.look(), note);
}

TIDEWAIT_INLINE void sectioned_test::raise(report found, take_note note) noexcept {
  state& test = now();
  if (found.silent() && found.failed_binds.empty()) return;
  try {
    if (test.known && std::uncaught_exceptions() != 0) {
      test.held.push_back(std::move(found));  // so that Catch2 tells the exception's line rightly
      return;
    }
    const bool outside = test.known && test.depth == 0;
    if (test.known && !outside) found.test = test.full_name();
    if (outside || (test.may_fail && !found.clean())) {
      exit_check::add(found);
      return;
    }
    try {
      // Before its end Catch2 does not tell whether a test has failed; of a look within it, the end
      // of the program names what failed.
      const std::string text =
          render(found) + explain_failed_binds(found, !found.clean() || test.failed);
      if (!text.empty()) test.tell(found, text, note);
    } catch (...) {
      exit_check::add(found);
    }
  } catch (...) {
    // No memory, and then nothing can be recorded.
  }
}

TIDEWAIT_INLINE bool sectioned_test::known() noexcept { return now().known; }

TIDEWAIT_INLINE const std::string& sectioned_test::name() noexcept { return now().name; }

TIDEWAIT_INLINE const std::vector<std::string>& sectioned_test::tags() noexcept {
  return now().tags;
}

TIDEWAIT_INLINE void sectioned_test::watch_every_test(policy rules) {
  rules.by_consequence();
  if (exit_check::begin(rules)) now().rules = std::move(rules);
}

TIDEWAIT_INLINE std::string without_empty_lines(std::string text) {
  for (auto at = text.find("\n\n"); at != std::string::npos; at = text.find("\n\n", at))
    text.erase(at, 1);
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

}  // namespace v0
}  // namespace tidewait
