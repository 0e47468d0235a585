// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#ifndef INSTANTIATE_TEST_SUITE_P
#error "tidewait needs GoogleTest 1.10 or later, and this <gtest/gtest.h> is older"
#include <see_the_error_above>
#endif

#include <tidewait/adapter.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/report.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
inline namespace v0 {
/// The adapter to GoogleTest (1.10 and later).
namespace gtest {

namespace impl {

/// "Suite.Test" of the test that runs now; empty outside a test.
inline std::string current_test_name() {
  const ::testing::TestInfo* const info = ::testing::UnitTest::GetInstance()->current_test_info();
  return info == nullptr ? std::string{}
                         : std::string{info->test_suite_name()} + '.' + info->name();
}

/// Turns a report into a failure of the test that runs now, at the line of the test. Warnings and
/// notes alone are printed. Never throws, also under --gtest_throw_on_failure: it is called from
/// destructors, and the failure is recorded before that flag takes effect.
inline void raise(const report& found) noexcept {
  if (found.silent() && found.failed_binds.empty() && found.harmless.empty()) return;
  try {
    const ::testing::TestInfo* const info = ::testing::UnitTest::GetInstance()->current_test_info();
    const bool failed = !found.clean() || (info != nullptr && info->result()->Failed());
    if (info != nullptr && !found.harmless.empty())
      ::testing::Test::RecordProperty("tidewait_harmless", list_harmless(found));
    const std::string binds = explain_failed_binds(found, failed);
    std::string text = render(found) + binds;
    if (found.clean() && binds.empty()) {
      std::fputs(text.c_str(), stdout);
      return;
    }
    text.erase(text.find_last_not_of('\n') + 1);  // GoogleTest ends the last line
    const char* const file = info == nullptr ? "tidewait" : info->file();
    const int line = info == nullptr ? -1 : info->line();
    // As ADD_FAILURE_AT, whose own first line is "Failed".
    GTEST_MESSAGE_AT_(file, line, text.c_str(), ::testing::TestPartResult::kNonFatalFailure);
  } catch (...) {
    // --gtest_throw_on_failure; or no memory, and then GoogleTest cannot record anything either.
  }
}

struct framework {
  static std::string test_name() { return current_test_name(); }
  static void raise(const report& found) noexcept { impl::raise(found); }
  static bool was_cut_short() {
    return ::testing::Test::HasFailure() || ::testing::Test::IsSkipped();
  }
};

inline ::testing::AssertionResult free_unless(const std::string& taken) {
  return taken.empty() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << taken;
}

/// Looks after every test, every suite and the whole program. One object is both the listener and
/// the environment of GoogleTest, which owns it; `watch_every_test` makes it.
class program_watch : public ::testing::EmptyTestEventListener {
 public:
  explicit program_watch(policy rules) : rules_{std::move(rules.by_consequence())} {}

  void OnTestSuiteStart(const ::testing::TestSuite& suite) override {
    suite_.emplace(rules_, test_id::not_a_test(std::string{"suite "} + suite.name()));
  }
  void OnTestStart(const ::testing::TestInfo& info) override {
    test_.emplace(rules_, std::string{info.test_suite_name()} + '.' + info.name());
  }
  void OnTestEnd(const ::testing::TestInfo& info) override {
    if (!test_) return;  // a test that --gtest_fail_fast skipped has not been started
    if (info.result()->Failed() || info.result()->Skipped()) test_->cut_short();
    raise(look(*test_));
    test_.reset();
  }
  void OnTestSuiteEnd(const ::testing::TestSuite&) override {
    if (suite_) outside_.push_back(look(*suite_));
    suite_.reset();
  }

  void begin_program() {
    program_.emplace(rules_, test_id::not_a_test("the test program"), look_depth::thorough);
    const auto& unit = *::testing::UnitTest::GetInstance();
    program_end::ran_all_tests(unit.test_to_run_count() >=
                               unit.total_test_count() - unit.disabled_test_count());
  }
  /// A failure that is raised at the end of a suite is lost from the XML before GoogleTest 1.16,
  /// and one that is raised at the end of the program does not even reach the exit code: both come
  /// here.
  void end_program() {
    if (program_) outside_.push_back(look(*program_));
    program_.reset();
    if (writes_json() || !xml_has_failures_outside_of_tests) {
      std::string text;
      for (const report& each : outside_) {
        if (!each.clean()) text += render(each);
      }
      if (!text.empty()) ::testing::Test::RecordProperty("tidewait", text);
    }
    if (!writes_json()) raise_outside();
  }
  /// Raises what was found outside of tests.
  void raise_outside() {
    const auto& unit = *::testing::UnitTest::GetInstance();
    std::size_t failures = 0;
    for (const report& each : std::exchange(outside_, {})) {
      if (!each.clean()) ++failures;
      raise(each);
    }
    if (failures != 0 && unit.failed_test_count() == 0) {
      program_end::say_last(
          "exit code 1, although no test failed: what is reported above was found outside of "
          "tests");
    }
  }
#ifdef GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST
  static constexpr bool xml_has_failures_outside_of_tests = true;
#else
  /// GoogleTest 1.10 leaves them out: there the file has their text as the property "tidewait".
  static constexpr bool xml_has_failures_outside_of_tests = false;
#endif
  /// With a failure outside of tests GoogleTest's JSON is not well-formed (seen in 1.12), so there
  /// it is raised when the file has been written, still in time for the exit code. The file has its
  /// text as the property "tidewait".
  static bool writes_json() {
#ifdef GTEST_FLAG_GET
    const std::string output = GTEST_FLAG_GET(output);
#else
    const std::string output = ::testing::GTEST_FLAG(output);
#endif
    return output.compare(0, 4, "json") == 0;
  }

 private:
  /// A program that only links `gtest_auto` has its rules as text.
  static report look(tidewait::watch& over) {
    report found = over.look();
    found.rules = rule_form::text;
    return found;
  }

  policy rules_;
  std::optional<tidewait::watch> test_{};
  std::optional<tidewait::watch> suite_{};
  std::optional<tidewait::watch> program_{};
  std::vector<report> outside_{};
};

/// Raises, once GoogleTest has written its JSON, what was found outside of tests.
class after_json : public ::testing::EmptyTestEventListener {
 public:
  explicit after_json(program_watch& watch) : watch_{&watch} {}
  after_json(const after_json&) = delete;
  after_json& operator=(const after_json&) = delete;
  void OnTestIterationEnd(const ::testing::UnitTest&, int) override { watch_->raise_outside(); }

  /// End events are told in reverse order, so GoogleTest's own generator is moved behind ours.
  static void listen(program_watch& watch) {
    ::testing::TestEventListeners& all = ::testing::UnitTest::GetInstance()->listeners();
    ::testing::TestEventListener* const generator = all.Release(all.default_xml_generator());
    all.Append(new after_json{watch});
    if (generator != nullptr) all.Append(generator);
  }

 private:
  program_watch* watch_;
};

/// Sets up before, and tears down after, the environments that are registered later.
class program_environment : public ::testing::Environment {
 public:
  explicit program_environment(policy rules)
      : made_{std::make_unique<program_watch>(std::move(rules))}, watch_{made_.get()} {}
  program_environment(const program_environment&) = delete;
  program_environment& operator=(const program_environment&) = delete;

  void SetUp() override {
    // Appended only now, to be the last listener: of these the end events are told in reverse, so
    // ours comes first and the user's own listeners see the failure.
    if (made_) {
      if (program_watch::writes_json()) after_json::listen(*watch_);
      ::testing::UnitTest::GetInstance()->listeners().Append(made_.release());
    }
    watch_->begin_program();
  }
  void TearDown() override { watch_->end_program(); }

 private:
  std::unique_ptr<program_watch> made_;
  program_watch* watch_;
};

}  // namespace impl

/// Fails the test if it leaves a listener, a bound socket or a TIME_WAIT on its ports. Derive from
/// it. It looks when the test's object is destroyed: after TearDown and after every member of the
/// derived classes, so that a server that is a member has been stopped.
class fixture : public watching_fixture<impl::framework>, public ::testing::Test {
 protected:
  /// Begins to watch the test. `rules` say what it may leave; those of TIDEWAIT_POLICY come on top.
  explicit fixture(policy rules = {}) : watching_fixture{std::move(rules)} {}
};

/// The same over a fixture that one already has: `using net = with_ports<my_fixture>;`. It is made
/// of what makes the existing one, or of a policy and that. It looks when the existing fixture has
/// been destroyed.
template <typename Existing>
class with_ports : public watched_fixture<impl::framework, Existing> {
 protected:
  using watched_fixture<impl::framework, Existing>::watched_fixture;
};

/// The same within a plain TEST: `const watch watch;` as the first local variable, so that it is
/// destroyed last.
using watch = scoped_watch<impl::framework>;

/// Whether a bind would succeed now; the dump is the message: `EXPECT_TRUE(is_free(port))`. A lease
/// knows its protocols itself.
inline ::testing::AssertionResult is_free(const port_lease& port) {
  return impl::free_unless(why_not_free(port));
}
/// The same for a port on any address.
inline ::testing::AssertionResult is_free(std::uint16_t port, protocol which = protocol::tcp) {
  return impl::free_unless(why_not_free(port, which));
}
/// The same for one endpoint.
inline ::testing::AssertionResult is_free(const endpoint& local, protocol which = protocol::tcp) {
  return impl::free_unless(why_not_free(local, which));
}

/// Looks after every test, without a fixture; after each suite, at what its SetUpTestSuite opened;
/// and at the end of the program, at what the global environments opened. Call it in main() before
/// RUN_ALL_TESTS and before environments are added, or link `tidewait::gtest_auto`. The first call
/// counts.
inline void watch_every_test(policy rules = {}) {
  static ::testing::Environment* const only =
      ::testing::AddGlobalTestEnvironment(new impl::program_environment{std::move(rules)});
  static_cast<void>(only);
}

}  // namespace gtest
}  // namespace v0
}  // namespace tidewait
