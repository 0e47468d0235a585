// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/endpoint.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_state.hpp>

namespace tidewait {
inline namespace v0 {

struct observed_socket;  // <tidewait/socket_entry.hpp>
struct observed_unix;    // <tidewait/unix_entry.hpp>

/// What a look does about a socket that a test left behind.
enum class action : std::uint8_t {
  fail,      ///< The test fails.
  warn,      ///< It is printed, the test passes.
  tolerate,  ///< Nothing.
};

/// What a look does when it could not look: when the listeners of its own processes cannot be
/// enumerated, or a leased port cannot be probed.
enum class when_blind : std::uint8_t {
  fail,  ///< The test fails and says why: not having looked is never clean.
  skip,  ///< The look is left out, and said to be once per program.
};

/// What a test does beside leaving sockets behind. The witness sees it.
enum class conduct : std::uint8_t {
  bind_failed,  ///< A bind(2) or listen(2) failed.
  wildcard,     ///< It serves on a wildcard address, so other machines can connect.
};

/// "bind_failed", "wildcard".
inline std::string_view to_string(conduct what) noexcept {
  return what == conduct::bind_failed ? "bind_failed" : "wildcard";
}

/// One rule of a policy. Each condition that is set must hold; one that is not holds for all. A
/// rule with ports matches no Unix socket, one with a path nothing else.
struct policy_rule {
  tidewait::action action = action::tolerate;  ///< What to do with a match.
  std::optional<socket_state> state{};         ///< Only sockets in that state; empty: any.
  std::optional<tidewait::conduct>
      conduct{};                      ///< Then it is about that, and not about what is left.
  std::optional<port_range> ports{};  ///< Of the local endpoint.
  std::string owner{};                ///< Name of a process that holds the socket (/proc/PID/comm).
  std::string test{};                 ///< Full name of the test; '*' and '?' match as in a shell.
  std::string
      path{};  ///< Of a Unix socket or its stale file, "@name" if abstract; matches likewise.
  std::string tag{};     ///< A tag of the test (Catch2), likewise; letters of any case.
  std::string reason{};  ///< For the reader of a list of what was tolerated.
  std::string file{};    ///< The file that has the rule; empty: none.
  std::size_t line = 0;  ///< Its line there, from 1.
};

/// A test as the rules of a policy see it.
struct test_id {
  std::string name;                 ///< Its full name.
  std::vector<std::string> tags{};  ///< Catch2's, without brackets.
  /// What is watched is one test; otherwise it is a suite or the whole program.
  bool is_test = true;

  /// A test without a name.
  test_id() = default;
  // NOLINTBEGIN(google-explicit-constructor): a name is all that most callers have
  /// A test without tags.
  test_id(std::string full_name) : name{std::move(full_name)} {}
  /// The same.
  test_id(std::string_view full_name) : name{full_name} {}
  /// The same.
  test_id(const char* full_name) : name{full_name} {}
  // NOLINTEND(google-explicit-constructor)
  /// A test with its tags.
  test_id(std::string full_name, std::vector<std::string> its_tags)
      : name{std::move(full_name)}, tags{std::move(its_tags)} {}

  /// Of a suite or of the whole program.
  static test_id not_a_test(std::string called) {
    test_id made{std::move(called)};
    made.is_test = false;
    return made;
  }
};

/// What is tolerated, how long a look may wait for a state that passes by itself, and what happens
/// when it cannot look. By default everything that is left fails the test.
///
///     policy{}.tolerate(socket_state::time_wait).tolerate(8080)
class policy {
 public:
  /// Adds a rule. Of the rules that match a socket the last one counts; of those that say the same
  /// as it, the one that names the test is the one that was used.
  policy& add(policy_rule rule);
  /// Adds the rules of another policy, and takes over each setting that was set there.
  policy& add(const policy& more);
  /// Sockets in this state pass.
  policy& tolerate(socket_state state, std::string reason = {});
  /// Sockets in this state are printed and pass.
  policy& warn(socket_state state, std::string reason = {});
  /// Sockets in this state fail the test, whatever an earlier rule says.
  policy& fail(socket_state state, std::string reason = {});
  /// A test that does this fails. By default a bind that failed is told of where the test fails for
  /// another reason, and a wildcard address is not minded.
  policy& fail(conduct what, std::string reason = {});
  /// What a test does is printed, and passes.
  policy& warn(conduct what, std::string reason = {});
  /// Whatever is left on this local port passes.
  policy& tolerate(std::uint16_t port, std::string reason = {});
  /// What a process of this name holds passes.
  policy& tolerate_owner(std::string name, std::string reason = {});
  /// The Unix sockets and stale socket files on this path pass; "@name" is an abstract name. '*'
  /// and '?' match as in a shell, '*' any number of directories.
  policy& tolerate_path(std::string pattern, std::string reason = {});
  /// The longest that one look waits for sockets that close by themselves: closing connections that
  /// no process holds any more (FIN_WAIT, LAST_ACK, CLOSING), and sockets of a process that is just
  /// ending. Default 250 ms; 0 never waits. A listener and a TIME_WAIT of the test are never waited
  /// for.
  policy& max_wait(std::chrono::milliseconds longest) {
    max_wait_ = longest;
    return *this;
  }
  /// What to do when it could not look. Default: fail.
  policy& on_blind(when_blind what) {
    blind_ = what;
    return *this;
  }
  /// A TIME_WAIT, and what else the kernel keeps of a connection, fails a test only if it keeps a
  /// later bind from succeeding: one to the same endpoint with the same options as the server's,
  /// which the witness saw. What is harmless is in `report::harmless`. A rule for its state decides
  /// otherwise. On a leased port, and without a witness, nothing changes. `watch_every_test` judges
  /// so.
  policy& by_consequence(bool wanted = true) {
    by_consequence_ = wanted;
    return *this;
  }
  /// At the end of the program, lists on stderr what was tolerated or warned of, by which rule and
  /// for which reason, and the rules that let nothing pass.
  policy& audit(bool wanted = true) {
    audit_ = wanted;
    return *this;
  }
  /// Whatever would fail a test is printed as a warning instead, sockets and incidents alike. A
  /// policy that cannot be read still fails.
  policy& warn_all(bool wanted = true) {
    warn_all_ = wanted;
    return *this;
  }

  /// The rule that decides about this socket, left by this test; null if none does.
  const policy_rule* match(const observed_socket& socket, const test_id& test) const;
  /// Likewise for a Unix socket or a stale socket file, which has no state.
  const policy_rule* match(const observed_unix& socket, const test_id& test) const;
  /// The rule that decides about what this test did on this port; null if none does.
  const policy_rule* match(conduct what, std::uint16_t port, const test_id& test) const;
  /// What to do about it: what that rule says, otherwise `action::fail`.
  action judge(const observed_socket& socket, const test_id& test) const;

  /// The rules in order: of those that match, the last counts.
  const std::vector<policy_rule>& rules() const noexcept;
  /// How long a look waits for closing connections and exiting processes.
  std::chrono::milliseconds max_wait() const noexcept {
    return max_wait_.value_or(std::chrono::milliseconds{250});
  }
  /// What happens where it could not look.
  when_blind on_blind() const noexcept { return blind_.value_or(when_blind::fail); }
  /// Whether a TIME_WAIT fails only if it keeps the next bind out.
  bool judges_by_consequence() const noexcept { return by_consequence_; }
  /// Whether the program lists at its end what the rules let pass.
  bool audited() const noexcept { return audit_; }
  /// Whether whatever would fail is a warning.
  bool warns_only() const noexcept { return warn_all_; }

 private:
  std::shared_ptr<std::vector<policy_rule>> rules_{};  // shared by copies until one adds a rule
  std::optional<std::chrono::milliseconds> max_wait_{};
  std::optional<when_blind> blind_{};
  bool audit_ = false;
  bool by_consequence_ = false;
  bool warn_all_ = false;
};

/// Whether a rule is about this test, whatever is left behind there.
bool concerns(const policy_rule& rule, const test_id& test);

/// A rule as `parse_policy` reads it: "warn:time_wait+port=8080"; "any" if it has no condition.
std::string to_string(const policy_rule& rule);

/// A policy as `parse_policy` reads it: its rules, then what differs from the default. Reasons are
/// not in it.
std::string to_string(const policy& rules);

/// Adds the rules of a text to a policy. It is the grammar of TIDEWAIT_POLICY, of the command's
/// `--tolerate` and of TOLERATE in CMake: items separated by commas, semicolons or blanks, of which
/// the last that matches a socket counts.
///
///     time_wait                    a state: tolerate it
///     warn:bound                   print it, and pass (also tolerate:, fail:)
///     port=8080  port=8000-8010    whatever is left on these local ports
///     owner=redis-server           whatever a process of that name holds
///     time_wait+port=8080          both must hold
///     path=/tmp/x.sock  path=@name  Unix sockets and stale socket files there; * and ? match
///     test=Slow.*+listen           only in tests whose full name matches
///     test="name, rest"+listen     a name with separators or '+'; \" \\ \x0a inside the quotes
///     tag=net+listen               only in tests with that tag (Catch2)
///     fail:any                     whatever is left, anywhere
///     fail:bind_failed             a bind that fails (`conduct`), also with port= and test=
///     warn:wildcard                a server on 0.0.0.0 or ::
///     @tests/known_ports.txt       the rules of a file, see `read_policy_file`
///     max_wait=500ms  blind=skip   as `policy::max_wait` and `policy::on_blind`
///     audit  warn:all              as `policy::audit` and `policy::warn_all`
///
/// Throws `policy_error` (`errc::bad_policy`) that quotes the item and says what can be written.
policy parse_policy(std::string_view text, policy onto = {});

/// Adds the rules of a file to a policy: one rule a line, as in `parse_policy`, with its reason
/// behind '#'. Empty lines and lines that start with '#' say nothing. The file has at most 1 MiB,
/// and names no other. Throws `policy_error` (`errc::bad_policy`) that names file and line.
policy read_policy_file(const std::string& path, policy onto = {});

/// The environment variable whose rules come on top of those in the code, for every look.
inline constexpr const char* policy_variable = "TIDEWAIT_POLICY";

/// `onto` with the rules of TIDEWAIT_POLICY on top. Throws as `parse_policy`.
policy policy_from_environment(policy onto = {});

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/policy.hpp>
#include <tidewait/detail/impl/policy_file.hpp>
#include <tidewait/detail/impl/policy_text.hpp>
#endif
