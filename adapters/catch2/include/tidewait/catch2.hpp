// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/adapter_base.hpp>
#include <tidewait/catch2/framework.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/sectioned_test.hpp>

namespace tidewait {
inline namespace v0 {
/// The adapter to Catch2 (2.13 and 3.x).
namespace catch2 {
namespace impl {
inline namespace TIDEWAIT_CATCH2_KIND {

/// What `is_free` returns: converts to whether it is, and shows why it is not.
class [[nodiscard]] freedom {
 public:
  explicit freedom(std::string why_not) : why_not_{without_empty_lines(std::move(why_not))} {}
  explicit operator bool() const noexcept { return why_not_.empty(); }
  const std::string& why_not() const noexcept { return why_not_; }

 private:
  std::string why_not_;
};

#ifdef TIDEWAIT_CATCH2_LISTENS

#if CATCH_VERSION_MAJOR >= 3
using listener_base = Catch::EventListenerBase;
#else
// NOLINTBEGIN(readability-identifier-naming): Catch2's
/// As Catch2's own base, without its templates, which every file would compile.
class listener_base : public Catch::IStreamingReporter {
 public:
  explicit listener_base(const Catch::ReporterConfig& config) : m_config{config.fullConfig()} {}
  Catch::ReporterPreferences getPreferences() const override { return {}; }
  void noMatchingTestCases(const std::string&) override {}
  void testRunStarting(const Catch::TestRunInfo&) override {}
  void testGroupStarting(const Catch::GroupInfo&) override {}
  void testCaseStarting(const Catch::TestCaseInfo&) override {}
  void sectionStarting(const Catch::SectionInfo&) override {}
  void assertionStarting(const Catch::AssertionInfo&) override {}
  bool assertionEnded(const Catch::AssertionStats&) override { return false; }
  void sectionEnded(const Catch::SectionStats&) override {}
  void testCaseEnded(const Catch::TestCaseStats&) override {}
  void testGroupEnded(const Catch::TestGroupStats&) override {}
  void testRunEnded(const Catch::TestRunStats&) override {}
  void skipTest(const Catch::TestCaseInfo&) override {}

 protected:
  Catch::IConfigPtr m_config;
};
// NOLINTEND(readability-identifier-naming)
#endif

/// Names test case and section in reports and, after `watch_every_test`, looks after every pass. At
/// the end of a pass, before Catch2 has counted, is the one place where a listener can fail a test.
class listener : public listener_base {
 public:
  using listener_base::listener_base;
  // NOLINTNEXTLINE(readability-identifier-naming): Catch2's
  static std::string getDescription() { return "Knows the section for tidewait's reports"; }

  void testRunStarting(const Catch::TestRunInfo& info) override {
    listener_base::testRunStarting(info);
    exit_check::arm();
    bool whole = !m_config->hasTestFilters();
#if CATCH_VERSION_MAJOR >= 3
    whole = whole && m_config->shardCount() == 1;
#endif
    program_end::ran_all_tests(whole);
  }
  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    listener_base::testCaseStarting(info);
    std::vector<std::string> tags;
    for (const auto& tag : info.tags) tags.push_back(text_of(tag));
    sectioned_test::begin(info.name, std::move(tags), info.okToFail(), info.lineInfo.file,
                          info.lineInfo.line);
  }
  void sectionStarting(const Catch::SectionInfo& info) override {
    listener_base::sectionStarting(info);
    sectioned_test::begin_section(info.name);
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    sectioned_test::end();
    listener_base::testCaseEnded(stats);
  }
  auto assertionEnded(const Catch::AssertionStats& stats)
      -> decltype(std::declval<listener_base&>().assertionEnded(stats)) override {
    if (!stats.assertionResult.isOk()) {
      sectioned_test::note_failure(stats.assertionResult.getResultType() ==
                                   Catch::ResultWas::FatalErrorCondition);
    }
    return listener_base::assertionEnded(stats);
  }
  void sectionEnded(const Catch::SectionStats& stats) override {
    const auto failures = sectioned_test::end_section(stats.assertions.failed != 0, take_note);
    // Catch2 has already added up what it tells the reporters of this pass, and JUnit and SonarQube
    // leave out a test case whose last pass had no assertion.
    Catch::Counts& counts = const_cast<Catch::SectionStats&>(stats).assertions;
    counts.failed += failures.now;
    if (failures.pass_ended && counts.total() == 0) counts.failed = failures.all;
    listener_base::sectionEnded(stats);
  }

 private:
#if CATCH_VERSION_MAJOR >= 3
  static std::string text_of(const Catch::Tag& tag) {
    return {tag.original.data(), tag.original.size()};
  }
#else
  static std::string text_of(const std::string& tag) { return tag; }
#endif
};

#if CATCH_VERSION_MAJOR < 3
struct listener_factory : Catch::IReporterFactory {
  // NOLINTNEXTLINE(readability-identifier-naming): Catch2's
  Catch::IStreamingReporterPtr create(const Catch::ReporterConfig& config) const override {
    return Catch::IStreamingReporterPtr{new listener{config}};
  }
  std::string getDescription() const override { return {}; }
};
#endif

/// The one listener of the program. CATCH_REGISTER_LISTENER would make one for each translation
/// unit. With other interfaces than main()'s it would crash.
inline bool begin_listening() {
  require_included_version();
#if CATCH_VERSION_MAJOR >= 3
  static const Catch::ListenerRegistrar<listener> only{Catch::StringRef{"tidewait"}};
#else
  if (!same_interfaces()) return false;
  Catch::getMutableRegistryHub().registerListener(Catch::IReporterFactoryPtr{new listener_factory});
#endif
  return true;
}
inline const bool listening = begin_listening();

#endif

}  // namespace TIDEWAIT_CATCH2_KIND
}  // namespace impl

inline namespace TIDEWAIT_CATCH2_KIND {

/// Fails the test if it leaves a listener, a bound socket or a TIME_WAIT on its ports:
/// `TEST_CASE_METHOD(tidewait::catch2::fixture, "name")`, or derive from it. Catch2 makes one for
/// each pass through the test case, so for each SECTION and for each value of a generator.
class fixture : public watching_fixture<impl::framework> {
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

/// The same within a TEST_CASE: `const watch watch;` as the first local variable, so that it is
/// destroyed last.
using watch = scoped_watch<impl::framework>;

/// Whether a bind would succeed now; the dump is the message: `CHECK(is_free(port))`. A lease knows
/// its protocols itself.
inline impl::freedom is_free(const port_lease& port) { return impl::freedom{why_not_free(port)}; }
/// The same for a port on any address.
inline impl::freedom is_free(std::uint16_t port, protocol which = protocol::tcp) {
  return impl::freedom{why_not_free(port, which)};
}
/// The same for one endpoint.
inline impl::freedom is_free(const endpoint& local, protocol which = protocol::tcp) {
  return impl::freedom{why_not_free(local, which)};
}

#ifdef TIDEWAIT_CATCH2_LISTENS
/// Looks after every pass of every test case, without a fixture, and at the end of the program at
/// what main() and global objects left: that goes to stderr, with `left_behind_exit_code`. Call it
/// before the session runs, or write TIDEWAIT_CATCH2_WATCH_EVERY_TEST() in one source, or link
/// `tidewait::catch2_auto`. The first call counts. Throws `std::logic_error` if Catch2 2.13 would
/// crash: main() was compiled with CATCH_CONFIG_ENABLE_BENCHMARKING and this was not, or vice
/// versa.
inline void watch_every_test(policy rules = {}) {
  if (!impl::same_interfaces()) {
    throw std::logic_error{
        "tidewait cannot watch every test: CATCH_CONFIG_ENABLE_BENCHMARKING is defined where "
        "main() is compiled and not where tidewait is, or vice versa, and then Catch2 2 crashes. "
        "Define it for the target: target_compile_definitions(<tests> PRIVATE "
        "CATCH_CONFIG_ENABLE_BENCHMARKING)"};
  }
  sectioned_test::watch_every_test(std::move(rules));
}

#endif

}  // namespace TIDEWAIT_CATCH2_KIND

#ifdef TIDEWAIT_CATCH2_LISTENS
namespace impl {
inline namespace TIDEWAIT_CATCH2_KIND {

/// The same before main() begins; what goes wrong is told by Catch2, with exit code 1.
template <typename... Policy>
bool watch_every_test_from_start(Policy&&... rules) noexcept {
  try {
    catch2::watch_every_test(std::forward<Policy>(rules)...);
  } catch (...) {
    Catch::getMutableRegistryHub().registerStartupException();
  }
  return true;
}

}  // namespace TIDEWAIT_CATCH2_KIND
}  // namespace impl

#define TIDEWAIT_CATCH2_WATCH_EVERY_TEST(...)                             \
  namespace {                                                             \
  [[maybe_unused]] const bool tidewait_watches_every_test =               \
      ::tidewait::catch2::impl::watch_every_test_from_start(__VA_ARGS__); \
  }
#else
#define TIDEWAIT_CATCH2_WATCH_EVERY_TEST(...)                                              \
  static_assert(false,                                                                     \
                "Catch2 2 has not declared listeners here: include <tidewait/catch2.hpp> " \
                "before <catch2/catch.hpp>, or define CATCH_CONFIG_EXTERNAL_INTERFACES");
#endif

}  // namespace catch2
}  // namespace v0
}  // namespace tidewait

/// What Catch2 prints of `CHECK(is_free(port))`.
template <>
struct Catch::StringMaker<tidewait::catch2::impl::freedom> {
  static std::string convert(const tidewait::catch2::impl::freedom& port) {
    return port ? "free" : port.why_not();
  }
};
