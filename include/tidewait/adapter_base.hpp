// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>
#include <tidewait/socket_path_lease.hpp>
#include <tidewait/source_location.hpp>
#include <tidewait/watch_class.hpp>

namespace tidewait {
inline namespace v0 {

// What of <tidewait/adapter.hpp> a file of tests needs. It has no report, so that the file compiles
// faster.

/// Looks after a test from its construction to its destruction: the base of an adapter's fixtures.
/// `Framework` has two static functions: `test_name()`, of the test that runs now, and
/// `raise(const report&) noexcept`, which turns a report into the framework's failure. It may have
/// two more: `test_tags()`, what a rule with tag= matches, and `was_cut_short()`, whether the test
/// has failed or was skipped so far. One that has `look_and_raise(watch&) noexcept` needs no
/// `raise`.
template <typename Framework>
class watching_fixture {
 public:
  watching_fixture(const watching_fixture&) = delete;
  watching_fixture& operator=(const watching_fixture&) = delete;

 protected:
  /// Begins to watch. `rules` say what may be left; those of TIDEWAIT_POLICY come on top.
  explicit watching_fixture(policy rules = {})
      : watch_{std::move(rules), test_id{Framework::test_name(), tags<Framework>(0)}} {}
  ~watching_fixture() {
    if (cut_short<Framework>(0)) watch_.cut_short();
    end<Framework>(watch_, 0);
  }

  /// As `tidewait::lease_port`.
  [[nodiscard]] static port_lease lease_port(protocol_set kind = protocol_set::tcp,
                                             source_location where = source_location::current()) {
    return ::tidewait::lease_port(kind, where);
  }
  /// As `tidewait::lease_ports`.
  [[nodiscard]] static std::vector<port_lease> lease_ports(
      std::size_t count, protocol_set kind = protocol_set::tcp,
      source_location where = source_location::current()) {
    return ::tidewait::lease_ports(count, kind, where);
  }
  /// As `tidewait::lease_socket_path`.
  [[nodiscard]] static socket_path_lease lease_socket_path(
      source_location where = source_location::current()) {
    return ::tidewait::lease_socket_path(where);
  }
  /// As `tidewait::lease_block`.
  [[nodiscard]] static std::vector<port_lease> lease_block(
      std::size_t count, protocol_set kind = protocol_set::tcp,
      source_location where = source_location::current()) {
    return ::tidewait::lease_block(count, kind, where);
  }

 private:
  template <typename Any>
  static auto tags(int) -> decltype(Any::test_tags()) {
    return Any::test_tags();
  }
  template <typename Any>
  static std::vector<std::string> tags(long) {
    return {};
  }
  template <typename Any>
  static auto end(watch& over, int) -> decltype(Any::look_and_raise(over)) {
    Any::look_and_raise(over);
  }
  template <typename Any, typename Watch>
  static void end(Watch& over, long) {
    Any::raise(over.look());
  }
  template <typename Any>
  static auto cut_short(int) -> decltype(Any::was_cut_short()) {
    return Any::was_cut_short();
  }
  template <typename Any>
  static bool cut_short(long) {
    return false;
  }

  watch watch_;
};

/// The same over a fixture that a user already has. The looking base comes first, so that it looks
/// last, when the existing fixture has been destroyed.
template <typename Framework, typename Existing>
class watched_fixture : public watching_fixture<Framework>, public Existing {
 protected:
  /// What the existing fixture can be made of makes this one as well.
  using Existing::Existing;
  /// A policy comes before the arguments of the existing fixture.
  template <typename... Arguments>
  explicit watched_fixture(policy rules = {}, Arguments&&... existing)
      : watching_fixture<Framework>{std::move(rules)},
        Existing(std::forward<Arguments>(existing)...) {}
};

/// The same as the first local variable of a test, which is destroyed last.
template <typename Framework>
class [[nodiscard]] scoped_watch : public watching_fixture<Framework> {
 public:
  /// The same.
  [[nodiscard]] explicit scoped_watch(policy rules = {})
      : watching_fixture<Framework>{std::move(rules)} {}
};

/// What keeps a bind to this endpoint from succeeding now, as text; empty if nothing does. An
/// adapter's `is_free` takes the same arguments and says this. Where no socket table can be read it
/// has the kernel's answer alone, and says so. Throws `observe_error` if not even a bind can be
/// asked for.
[[nodiscard]] std::string why_not_free(const endpoint& local, protocol which = protocol::tcp);

/// The same for a port on any address.
[[nodiscard]] std::string why_not_free(std::uint16_t port, protocol which = protocol::tcp);

/// The same for a lease, on each protocol that it is for.
[[nodiscard]] std::string why_not_free(const port_lease& port);

/// What an adapter adds to the failure of a test that failed: why binds failed in it. Where the
/// test passed it is empty; then the end of the program names the test, which may have passed for
/// the wrong reason.
std::string explain_failed_binds(const report& found, bool test_failed);

/// "127.0.0.1:8080 3 the server sets SO_REUSEADDR": `report::harmless` in one line, for a property
/// of the test; empty if there is none.
std::string list_harmless(const report& found);

/// The exit code of a program whose tests are done and which left something behind that no test
/// could be failed for. `tidewait run` has the same.
inline constexpr int left_behind_exit_code = 97;

/// What an adapter knows of the end of its program. Then tidewait prints, on stderr, a summary of
/// what all its looks came to, or adds it to that of the run (`tidewait run`, the gate of CTest).
class program_end {
 public:
  /// The program has run all the tests that it has: none was filtered out or left to a shard.
  static void ran_all_tests(bool whole);
  /// The last line: why the exit code is not what the framework says of the tests.
  static void say_last(const std::string& line);
  /// The summary comes when `now` is called, instead of with the functions of std::atexit().
  static void later();
  /// Prints the summary, or adds it to that of the run.
  static void now();
};

/// The last look at a program, for adapters to frameworks that have no place for it: when every
/// object of the program has been destroyed, also with a main() of your own. What it finds goes to
/// stderr, and the exit code becomes `left_behind_exit_code`.
///
/// By then the exit code stands, and the one defined way to change it is to leave at once. What
/// that leaves out comes after all destructors of the program: visibility data and LeakSanitizer.
/// Not reached by a program that ends with _exit(2), abort(3) or a signal.
class exit_check {
 public:
  /// Takes the baseline. The first call counts; true for that one.
  static bool begin(policy rules = {});
  /// There is something to look at: not in a program that only lists its tests, whose output and
  /// exit code are for a build system.
  static void arm() noexcept;
  /// Adds what was found where no test could be failed for it.
  static void add(const report& found);

 private:
  struct state;
  static state& instance();
#if defined(_MSC_VER)
#error \
    "tidewait's adapters look once more at the end of the program ([[gnu::destructor]]), which Visual C++ would leave out: use MinGW-w64"
#endif
  [[gnu::destructor]] static void end();
};

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/program_end.hpp>
#include <tidewait/detail/impl/why_not_free.hpp>
#endif
