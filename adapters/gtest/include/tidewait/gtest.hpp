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
    const std::string text = render(found) + binds;
    if (found.clean() && binds.empty()) {
      std::fputs(text.c_str(), stdout);
      return;
    }
    ADD_FAILURE_AT(info == nullptr ? "tidewait" : info->file(), info == nullptr ? -1 : info->line())
        << text;
  } catch (...) {
    // --gtest_throw_on_failure; or no memory, and then GoogleTest cannot record anything either.
  }
}

struct framework {
  static std::string test_name() { return current_test_name(); }
  static void raise(const report& found) noexcept { impl::raise(found); }
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
    suite_.emplace(rules_, std::string{"suite "} + suite.name());
  }
  void OnTestStart(const ::testing::TestInfo& info) override {
    test_.emplace(rules_, std::string{info.test_suite_name()} + '.' + info.name());
  }
  void OnTestEnd(const ::testing::TestInfo&) override {
    if (test_) raise(test_->look());  // a test that --gtest_fail_fast skipped has not been started
    test_.reset();
  }
  void OnTestSuiteEnd(const ::testing::TestSuite&) override {
    if (suite_) suites_.push_back(suite_->look());
    suite_.reset();
  }

  void begin_program() { program_.emplace(rules_, "the test program", look_depth::thorough); }
  /// A failure that is raised at the end of a suite is lost from the XML before GoogleTest 1.16,
  /// and one that is raised at the end of the program does not even reach the exit code: both come
  /// here.
  void end_program() {
    for (const report& each : std::exchange(suites_, {})) raise(each);
    if (program_) raise(program_->look());
    program_.reset();
  }

 private:
  policy rules_;
  std::optional<tidewait::watch> test_;
  std::optional<tidewait::watch> suite_;
  std::optional<tidewait::watch> program_;
  std::vector<report> suites_;
};

/// Sets up before, and tears down after, the environments that are registered later.
class program_environment : public ::testing::Environment {
 public:
  explicit program_environment(policy rules)
      : made_{std::make_unique<program_watch>(std::move(rules))}, watch_{made_.get()} {}

  void SetUp() override {
    // Appended only now, to be the last listener: of these the end events are told in reverse, so
    // ours comes first and the user's own listeners see the failure.
    if (made_) ::testing::UnitTest::GetInstance()->listeners().Append(made_.release());
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
