// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/detail/lease_note.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/unix_diagnosis.hpp>
#include <tidewait/visibility.hpp>

namespace tidewait {
inline namespace v0 {

/// What was left behind on one port.
struct finding {
  diagnosis why{};  ///< Its `conflicting` and `unrelated` sockets are what was left.
  std::optional<lease_note> lease{};  ///< If the port is leased, where.
  bool fails = true;                  ///< Otherwise it is a warning.
  bool certain = true;                ///< It is this test's; otherwise nobody can tell.
  /// Nobody wrote the number of the port down: the kernel chose it, or a lease.
  bool port_was_chosen = false;
  std::optional<policy_rule> decided_by{};  ///< The rule that says so; nothing: there was none.
  /// The test whose report in this program has said why, and what to do; empty: this one says it.
  std::string same_as{};

  /// How many sockets it is about.
  std::size_t count() const noexcept { return why.conflicting.size() + why.unrelated.size(); }
  /// Of these, without those that only other programs hold: what is left, where nobody hides.
  std::size_t left() const noexcept {
    std::size_t sockets = 0;
    for (const auto* list : {&why.conflicting, &why.unrelated}) {
      for (const observed_socket& each : *list) {
        if (each.owners.empty() || detail::any_ours(each.owners)) ++sockets;
      }
    }
    return sockets;
  }
  /// Nothing was left, but a port was shared with another program.
  bool only_shared() const noexcept {
    return why.free() && !why.explanations.empty() &&
           why.explanations.front().what == cause::shared_silently;
  }
};

/// A Unix socket, or a stale socket file, that was left behind.
struct unix_finding {
  unix_diagnosis why{};  ///< Its `conflicting` and `unrelated` are what was left.
  bool fails = true;     ///< Otherwise it is a warning.
  std::optional<policy_rule> decided_by{};  ///< The rule that says so; nothing: there was none.
  std::string same_as{};                    ///< As in `finding`.
};

/// What a rule let pass.
struct tolerated_socket {
  std::string kind;   ///< "LISTEN", "a process"
  std::string place;  ///< "127.0.0.1:8080", or the name of the process.
  policy_rule rule;   ///< That says so.
};

/// A bind(2) or listen(2) that failed in a test, as the witness saw it.
struct failed_bind {
  bind_record record{};            ///< The first of those that failed in the same way.
  std::size_t times = 1;           ///< How often it failed in this test.
  std::optional<diagnosis> why{};  ///< As of the moment of the first; nothing if nobody could look.
  visibility seen{};               ///< What that look could see.
  bool told = false;               ///< A policy made it an incident or a warning.
};

/// What the kernel keeps of connections of one server, and which keeps no later bind from
/// succeeding.
struct harmless_remainder {
  endpoint local;         ///< Of the server.
  std::size_t count = 0;  ///< Of connections.
  std::string why;        ///< "the server sets SO_REUSEADDR"
};

/// How the reader of a report writes a rule of a policy.
enum class rule_form : std::uint8_t {
  code,  ///< `tidewait::policy{}.tolerate(8080)`
  text,  ///< `listen+port=8080`, in TIDEWAIT_POLICY, `--tolerate` or a file of rules
};

/// How much a report says of each finding.
enum class report_detail : std::uint8_t {
  brief,  ///< At most eight lines: what matters most.
  full,   ///< Every socket, cause and remedy.
};

/// The environment variable that has every report say all, with the value "full".
inline constexpr const char* report_variable = "TIDEWAIT_REPORT";

/// What a look found, as a value.
struct report {
  // Not inline, so that not every file which sees a report compiles all that is in it.
  report();                              ///< A report of nothing.
  report(const report&);                 ///< A copy.
  report(report&&) noexcept;             ///< Takes over what the other one says.
  report& operator=(const report&);      ///< Becomes a copy.
  report& operator=(report&&) noexcept;  ///< Takes over what the other one says.
  ~report();

  std::string test{};               ///< The name of the test, or what else was looked after.
  std::string rule_test{};          ///< What test= of a rule matches, to let this pass; empty: any.
  std::vector<finding> findings{};  ///< One per port, failures first.
  std::vector<unix_finding> unix_findings{};  ///< One per socket or stale file, failures first.
  /// What went wrong beside the sockets, such as a server that had to be killed; of each the first
  /// line is complete alone. They fail the test.
  std::vector<std::string> incidents{};
  std::vector<std::string> warnings{};      ///< The same, by a policy that only warns.
  std::vector<failed_bind> failed_binds{};  ///< In this test, whether it minded or not.
  std::vector<harmless_remainder>
      harmless{};  ///< Of TIME_WAITs, if the policy judges by consequence.
  std::vector<tolerated_socket> tolerated{};  ///< What rules let pass.
  gap blind{};                                ///< Why it could not look; empty if it could.
  bool blind_fails = false;                   ///< The policy wants that to fail the test.
  bool blind_told = false;              ///< Another look of this program has already said the same.
  std::vector<std::string> notes{};     ///< Lesser gaps and limits, each told once per program.
  visibility seen{};                    ///< How much the look could see.
  std::chrono::milliseconds waited{0};  ///< For what passes by itself.
  rule_form rules = rule_form::code;    ///< How to write a rule where this report is printed.
  report_detail detail = report_detail::full;  ///< A look's own report is brief.

  /// Nothing that fails the test, and it could look (or the policy lets that pass).
  bool clean() const noexcept;
  /// Nothing to say at all.
  bool silent() const noexcept;
  /// It could not look, and has to say so: that passes by the policy's leave is said once.
  bool tells_blind() const noexcept { return !blind.empty() && (blind_fails || !blind_told); }
};

/// The report as text, a pure function: failures, incidents, what could not be seen, warnings. The
/// first line is complete alone; no line that words can break is over 100 columns; no colour. Names
/// and command lines of others in it steer no terminal, no CTest and no CI system.
std::string render(const report& whole);

/// As text: what failed, where in the code, who holds the port, what to change.
std::string render(const failed_bind& failed);

/// A diagnosis alone as text: what uses the port, whether a bind would succeed, why, what to
/// change.
std::string render(const diagnosis& why, const visibility& seen);
/// The same of a Unix socket.
std::string render(const unix_diagnosis& why, const visibility& seen);

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/report.hpp>
#include <tidewait/detail/impl/unix_report.hpp>
#endif
