// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

// The Catch2 that was included before, or the one that TIDEWAIT_CATCH2_HEADER names
// ("<my/catch.hpp>"), or what the include directories have: a copy in one file, which a project has
// beside its own code, Catch2 3, or Catch2 2.13.
#if defined(CATCH_AMALGAMATED_HPP_INCLUDED) && \
    defined(TWOBLUECUBES_SINGLE_INCLUDE_CATCH_HPP_INCLUDED)
#error "Catch2 2 and Catch2 3 are both included: include one of them, the one that main() has"
#include <see_the_error_above>
#elif defined(CATCH_AMALGAMATED_HPP_INCLUDED) || defined(CATCH_VERSION_MACROS_HPP_INCLUDED)
#define TIDEWAIT_CATCH2_IS_INCLUDED
#elif defined(TIDEWAIT_CATCH2_HEADER)
#ifndef CATCH_CONFIG_EXTERNAL_INTERFACES
#define CATCH_CONFIG_EXTERNAL_INTERFACES  // declares what a listener needs in Catch2 2
#endif
#include TIDEWAIT_CATCH2_HEADER
#define TIDEWAIT_CATCH2_IS_INCLUDED
#elif defined(TWOBLUECUBES_SINGLE_INCLUDE_CATCH_HPP_INCLUDED)
#define TIDEWAIT_CATCH2_IS_INCLUDED
#elif __has_include(<catch_amalgamated.hpp>)
#include <catch_amalgamated.hpp>
#define TIDEWAIT_CATCH2_IS_INCLUDED
#elif __has_include(<catch2/catch_amalgamated.hpp>)
#include <catch2/catch_amalgamated.hpp>
#define TIDEWAIT_CATCH2_IS_INCLUDED
#elif __has_include(<catch.hpp>)
#ifndef CATCH_CONFIG_EXTERNAL_INTERFACES
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#endif
#include <catch.hpp>
#ifdef CATCH_VERSION_MAJOR  // otherwise it is something else
#define TIDEWAIT_CATCH2_IS_INCLUDED
#endif
#endif
#if defined(CATCH_AMALGAMATED_HPP_INCLUDED) || \
    (defined(TIDEWAIT_CATCH2_IS_INCLUDED) && !defined(CATCH_VERSION_MACROS_HPP_INCLUDED))
#elif __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_test_case_info.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/catch_version.hpp>
#include <catch2/catch_version_macros.hpp>
#include <catch2/interfaces/catch_interfaces_capture.hpp>
#include <catch2/interfaces/catch_interfaces_config.hpp>
#include <catch2/interfaces/catch_interfaces_registry_hub.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#else
#ifndef CATCH_CONFIG_EXTERNAL_INTERFACES
#define CATCH_CONFIG_EXTERNAL_INTERFACES  // declares what a listener needs
#endif
#include <catch2/catch.hpp>
#endif
#undef TIDEWAIT_CATCH2_IS_INCLUDED

#if CATCH_VERSION_MAJOR < 2 || (CATCH_VERSION_MAJOR == 2 && CATCH_VERSION_MINOR < 13)
#error "tidewait needs Catch2 2.13 or later, and this one is older"
#include <see_the_error_above>
#endif

#include <tidewait/adapter_base.hpp>
#include <tidewait/sectioned_test.hpp>

// In Catch2 2.13, CATCH_CONFIG_ENABLE_BENCHMARKING gives the interfaces more virtual functions.
// Translation units with and without it must not share what calls them: hence two namespaces.
#if CATCH_VERSION_MAJOR >= 3
#define TIDEWAIT_CATCH2_KIND v3
#elif defined(CATCH_CONFIG_ENABLE_BENCHMARKING)
#define TIDEWAIT_CATCH2_KIND v2_with_benchmarking
#else
#define TIDEWAIT_CATCH2_KIND v2_without_benchmarking
#endif
#if CATCH_VERSION_MAJOR >= 3 || defined(CATCH_CONFIG_EXTERNAL_INTERFACES) || \
    defined(CATCH_CONFIG_ENABLE_BENCHMARKING)
#define TIDEWAIT_CATCH2_LISTENS
#endif
#if CATCH_VERSION_MAJOR < 3 && !defined(CATCH_IMPL)
namespace Catch {
struct Version {  // as Catch2 2 declares it there
  Version(const Version&) = delete;
  Version& operator=(const Version&) = delete;
  Version(unsigned, unsigned, unsigned, const char*, unsigned);
  const unsigned majorVersion;   // NOLINT(readability-identifier-naming)
  const unsigned minorVersion;   // NOLINT(readability-identifier-naming)
  const unsigned patchNumber;    // NOLINT(readability-identifier-naming)
  const char* const branchName;  // NOLINT(readability-identifier-naming)
  const unsigned buildNumber;    // NOLINT(readability-identifier-naming)
};
const Version& libraryVersion();  // NOLINT(readability-identifier-naming)
}  // namespace Catch
#ifndef TIDEWAIT_NO_WEAK_REFERENCES
#define TIDEWAIT_CATCH2_RUNS_ELSEWHERE
namespace Catch {
namespace Benchmark {  // NOLINT(readability-identifier-naming): Catch2's
namespace Detail {     // NOLINT(readability-identifier-naming)
// Defined where main() is, if that was compiled with benchmarking.
[[gnu::weak]] double erfc_inv(double);  // NOLINT(readability-redundant-declaration)
}  // namespace Detail
}  // namespace Benchmark
}  // namespace Catch
#endif
#endif

namespace tidewait {
inline namespace v0 {
namespace catch2 {
namespace impl {
inline namespace TIDEWAIT_CATCH2_KIND {

/// Ends the program if its Catch2 is another version than the one that was included here: what
/// calls it would crash, or do nothing.
inline void require_included_version() noexcept {
  const Catch::Version& linked = Catch::libraryVersion();
  if (linked.majorVersion == CATCH_VERSION_MAJOR && linked.minorVersion == CATCH_VERSION_MINOR &&
      linked.patchNumber == CATCH_VERSION_PATCH) {
    return;
  }
  std::fprintf(stderr,
               "tidewait: this program is linked with Catch2 %u.%u.%u, but <tidewait/catch2.hpp> "
               "was compiled with the headers of %u.%u.%u: use one version for both\n",
               linked.majorVersion, linked.minorVersion, linked.patchNumber,
               unsigned{CATCH_VERSION_MAJOR}, unsigned{CATCH_VERSION_MINOR},
               unsigned{CATCH_VERSION_PATCH});
  std::_Exit(EXIT_FAILURE);
}

/// Whether Catch2's interfaces are the same here and where main() is compiled.
inline bool same_interfaces() noexcept {
#if !defined(TIDEWAIT_CATCH2_RUNS_ELSEWHERE)
  return true;
#elif defined(CATCH_CONFIG_ENABLE_BENCHMARKING)
  return &Catch::Benchmark::Detail::erfc_inv != nullptr;
#else
  return &Catch::Benchmark::Detail::erfc_inv == nullptr;
#endif
}

/// The test case that runs now; empty outside of one.
inline std::string current_test_name() {
  if (sectioned_test::known()) return sectioned_test::name();
  try {
    if (same_interfaces()) return Catch::getResultCapture().getCurrentTestName();
  } catch (...) {
  }
  return {};
}

/// Has Catch2 take note, at the line of the test case.
inline void take_note(bool fails, std::string text, const char* file, std::size_t line) {
  Catch::AssertionHandler handler{Catch::StringRef{"tidewait"}, Catch::SourceLineInfo{file, line},
                                  Catch::StringRef{}, Catch::ResultDisposition::ContinueOnFailure};
  try {
    handler.handleMessage(fails ? Catch::ResultWas::ExplicitFailure : Catch::ResultWas::Warning,
                          std::move(text));
    handler.complete();
  } catch (...) {
    // Under --abort Catch2 throws, when it has taken note.
  }
}

struct framework {
  static std::string test_name() { return current_test_name(); }
  static const std::vector<std::string>& test_tags() { return sectioned_test::tags(); }
  static void look_and_raise(tidewait::watch& over) noexcept {
    sectioned_test::look_and_raise(over, take_note);
  }
};

}  // namespace TIDEWAIT_CATCH2_KIND
}  // namespace impl
}  // namespace catch2
}  // namespace v0
}  // namespace tidewait
