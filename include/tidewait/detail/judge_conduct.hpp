// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/witnessed.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Fails the test for what it did, or warns, if a rule says so.
inline bool tell_conduct(const policy& rules, conduct what, std::uint16_t port, std::string text,
                         report& found) {
  const policy_rule* const rule = rules.match(what, port, found.test);
  if (rule == nullptr || rule->action == action::tolerate) return false;
  (rule->action == action::fail ? found.incidents : found.warnings).push_back(std::move(text));
  return true;
}

/// What the test did on its ports, beside leaving something there.
inline void judge_conduct(shared_state& shared, const witnessed_binds& binds, const policy& rules,
                          report& found) {
  if (binds.missing != 0) {
    shared.told.note("missing binds",
                     std::to_string(binds.missing) +
                         " binds of one test were overwritten before the look; what was left on "
                         "their ports may not be ascribed to the test");
  }
  found.failed_binds = shared.failed.take();
  for (failed_bind& each : found.failed_binds) {
    name_places(each.record);
    const auto& where = each.record.asked ? each.record.asked : each.record.got;
    each.told = tell_conduct(rules, conduct::bind_failed, where ? where->port : std::uint16_t{0},
                             render(each), found);
  }
  for (const auto& each : binds.records) {
    const bool serves = each->kind == bound_kind::udp || each->listening;
    if (!serves || each->error || !each->got || !each->got->address.is_wildcard()) continue;
    if (rules.match(conduct::wildcard, each->got->port, found.test) == nullptr) continue;
    // The watches around this one look at the same bind.
    if (!shared.told.first_time("wildcard " + std::to_string(each->cookie) + ' ' +
                                std::to_string(each->time.time_since_epoch().count()))) {
      continue;
    }
    bind_record record = *each;
    name_places(record);
    tell_conduct(rules, conduct::wildcard, each->got->port, describe_wildcard(record), found);
  }
}

/// The rule that lets exactly this test share the port.
inline policy_rule rule_for(const shared_port& each, const std::string& test) {
  policy_rule rule;
  rule.state = each.socket.state;
  if (!each.record.kernel_chose_port)
    rule.ports = port_range{each.socket.local.port, each.socket.local.port};
  rule.test = recorded_test(test);
  return rule;
}

/// "shared 127.0.0.1:8080 with another program", and where it was bound.
inline std::string describe_sharing(const shared_port& each) {
  std::string text = "shared " + place_of(each.record) + " with another program\n";
  const std::string where = bound_at(each.record);
  if (!where.empty()) text += "bound at " + where + '\n';
  return text + "why: " + each.why.why + "\nfix: " + each.why.fix + '\n';
}

/// The ports that the test shared with another program, unless the look has found that already.
/// `let_pass(rule, what)` is told of what the rules tolerate.
template <typename LetPass>
void judge_sharing(shared_state& shared, const policy& rules, const test_id& test, report& found,
                   LetPass&& let_pass) {
  std::vector<observed_socket> judged;
  std::vector<std::uint64_t> failed;
  std::vector<policy_rule> record;
  for (shared_port& each : shared.shared.take()) {
    judged.push_back(each.socket);
    const bool told =
        std::any_of(found.findings.begin(), found.findings.end(), [&](const finding& other) {
          return other.why.request.local.port == each.socket.local.port &&
                 other.why.request.protocol == each.socket.protocol;
        });
    if (told) continue;
    const policy_rule* const rule = rules.match(each.socket, test);
    const action what = rule == nullptr ? action::fail : rule->action;
    if (what != action::fail) let_pass(*rule, to_string(each.socket.local));
    if (what == action::tolerate) {
      found.tolerated.push_back({"a shared port", to_string(each.socket.local), *rule});
      continue;
    }
    if (rule == nullptr) record.push_back(rule_for(each, test.name));
    if (what == action::fail && !rules.warns_only()) failed.push_back(each.socket.cookie);
    name_places(each.record);
    (what == action::warn ? found.warnings : found.incidents).push_back(describe_sharing(each));
  }
  const std::string unrecorded = record_rules(record);
  if (!unrecorded.empty()) found.incidents.push_back(unrecorded);
  write_journal(shared, journal_event::shared, judged, found.test, failed);
}

/// Has the end of the program list what is harmless, and a report say why it names no code.
inline void tell_witness(shared_state& shared, const report& found) {
  if (!found.findings.empty() && shared.binds.state() == witness_state::mocked) {
    shared.told.note("mocked",
                     "this program defines bind() or listen() itself, so its binds are not "
                     "witnessed: reports do not say where a socket was bound");
  }
  if (shared.seen.command) return;  // the launcher's report has them
  for (const harmless_remainder& each : found.harmless) {
    tell_at_end(
        shared, end_table::topic::harmless,
        {sanitised(found.test), to_string(each.local), std::to_string(each.count), each.why});
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
