// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/explain_socket.hpp>
#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/leftovers.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// "LISTEN", "LISTEN and TIME_WAIT": the states of what was left, in the order of a report.
inline std::string states_of(const finding& found) {
  std::vector<std::string> names;
  for (const auto* list : {&found.why.conflicting, &found.why.unrelated}) {
    for (const observed_socket& socket : *list) {
      const std::string name =
          socket.protocol == protocol::udp ? "UDP" : std::string{to_string(socket.state)};
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return joined(names, " and ");
}

/// What the two kinds of findings have in common.
template <typename Finding>
tally_finding begin_tally_finding(const Finding& found, const std::string& test) {
  tally_finding entry;
  entry.verdict = found.fails ? tally_verdict::failed : tally_verdict::warned;
  entry.test = test;
  if (!found.why.explanations.empty()) entry.fix = found.why.explanations.front().fix;
  if (found.decided_by) {
    entry.rule = sanitised(to_string(*found.decided_by));
    entry.file = sanitised(found.decided_by->file);
  }
  return entry;
}

inline tally_finding to_tally_finding(const finding& found, const std::string& test) {
  tally_finding entry = begin_tally_finding(found, test);
  entry.kind = states_of(found);
  entry.place = to_string(found.why.request.local);
  if (!found.port_was_chosen) entry.port = std::to_string(found.why.request.local.port);
  entry.count = std::max<std::size_t>(1, found.count());
  return entry;
}

inline tally_finding to_tally_finding(const unix_finding& found, const std::string& test) {
  tally_finding entry = begin_tally_finding(found, test);
  entry.kind = "a Unix socket";
  entry.place = shown_unix_name(found.why.name);
  return entry;
}

inline tally_finding to_tally_finding(const tolerated_socket& passed, const std::string& test) {
  tally_finding entry;
  entry.verdict = tally_verdict::passed;
  entry.test = test;
  entry.kind = passed.kind;
  entry.place = passed.place;
  entry.rule = sanitised(to_string(passed.rule));
  entry.file = sanitised(passed.rule.file);
  return entry;
}

/// Something that is no socket: an incident, or that nobody could look.
inline tally_finding to_tally_finding(tally_verdict verdict, const std::string& text,
                                      const std::string& test) {
  tally_finding entry;
  entry.verdict = verdict;
  entry.test = test;
  entry.fix = text.substr(0, text.find('\n'));
  return entry;
}

/// How much TIDEWAIT_REPORT wants to be said.
inline report_detail detail_of_environment() noexcept {
  const char* const wanted = environment(report_variable);
  return wanted != nullptr && std::string_view{wanted} == "full" ? report_detail::full
                                                                 : report_detail::brief;
}

/// What makes findings alike: what was left, why, and what to do.
template <typename Finding>
std::string kind_of(const Finding& found, const std::string& left) {
  std::string kind = (found.fails ? "fails " : "warns ") + left;
  for (const explanation& said : found.why.explanations) {
    kind.append(1, '\n').append(to_string(said.what)).append(1, ' ');
    kind += without_numbers(said.fix);
  }
  return kind;
}

/// Names, at each finding that is like one of an earlier report of this program, that test: what to
/// do is the same.
inline void group_alike(shared_state& shared, report& found) {
  if (found.detail == report_detail::full) return;
  for (finding& each : found.findings)
    each.same_as = shared.counts.first_with(kind_of(each, states_of(each)), found.test);
  for (unix_finding& each : found.unix_findings) {
    const bool any = !each.why.conflicting.empty();
    const bool stale = any && each.why.conflicting.front().stale_file;
    each.same_as = shared.counts.first_with(kind_of(each, stale ? "a stale file" : "a Unix socket"),
                                            found.test);
  }
}

/// Has whatever would fail be a warning (`policy::warn_all`).
inline void warn_only(report& found) {
  for (finding& each : found.findings) each.fails = false;
  for (unix_finding& each : found.unix_findings) each.fails = false;
  std::move(found.incidents.begin(), found.incidents.end(), std::back_inserter(found.warnings));
  found.incidents.clear();
  found.blind_fails = false;
}

/// Whether these rules let all of the finding pass.
template <typename Finding>
bool tolerates_all(const policy& rules, const Finding& found, const test_id& test) {
  const auto stays = [&](const auto& socket) { return rules.match(socket, test) == nullptr; };
  return std::none_of(found.why.conflicting.begin(), found.why.conflicting.end(), stays) &&
         std::none_of(found.why.unrelated.begin(), found.why.unrelated.end(), stays);
}

/// The end of a look: what fails is recorded as known if TIDEWAIT_RECORD says so, becomes a warning
/// if the policy says so, and is counted. `recorded`: rules that have just been recorded.
inline void conclude(shared_state& shared, report& found, const test_id& test, const policy& rules,
                     bool to_its_end, const policy& recorded = {}) {
  std::vector<policy_rule> record;
  for (const finding& each : found.findings) {
    const bool wanted = each.decided_by && each.decided_by->action == action::fail;
    if (!each.fails || wanted || tolerates_all(recorded, each, test)) continue;
    for (policy_rule& rule : rules_for(each, test.name)) record.push_back(std::move(rule));
  }
  for (const unix_finding& each : found.unix_findings) {
    const bool wanted = each.decided_by && each.decided_by->action == action::fail;
    if (each.fails && !wanted && !tolerates_all(recorded, each, test))
      record.push_back(rule_for(each, test.name));
  }
  const std::string unrecorded = record_rules(record);
  if (rules.warns_only()) warn_only(found);
  if (!unrecorded.empty()) found.incidents.push_back(unrecorded);
  group_alike(shared, found);

  shared.counts.looked_after(test, to_its_end && found.blind.empty());
  for (const finding& each : found.findings) shared.counts.add(to_tally_finding(each, found.test));
  for (const unix_finding& each : found.unix_findings)
    shared.counts.add(to_tally_finding(each, found.test));
  for (const harmless_remainder& each : found.harmless) {
    tally_finding entry;
    entry.verdict = tally_verdict::harmless;
    entry.test = found.test;
    entry.kind = "TIME_WAIT";
    entry.place = to_string(each.local);
    entry.count = each.count;
    shared.counts.add(std::move(entry));
  }
  for (const tolerated_socket& each : found.tolerated)
    shared.counts.add(to_tally_finding(each, found.test));
  for (const std::string& each : found.incidents)
    shared.counts.add(to_tally_finding(tally_verdict::failed, each, found.test));
  for (const std::string& each : found.warnings)
    shared.counts.add(to_tally_finding(tally_verdict::warned, each, found.test));
  if (found.blind_fails && !found.blind.empty()) {
    shared.counts.add(to_tally_finding(tally_verdict::failed,
                                       "could not look: " + to_string(found.blind), found.test));
  }
}

/// The cookies of the sockets that a report fails the test for.
inline std::vector<std::uint64_t> cookies_that_fail(const report& found, const policy& rules) {
  std::vector<std::uint64_t> cookies;
  if (rules.warns_only()) return cookies;
  for (const finding& each : found.findings) {
    if (!each.fails) continue;
    for (const auto* list : {&each.why.conflicting, &each.why.unrelated}) {
      for (const observed_socket& socket : *list) cookies.push_back(socket.cookie);
    }
  }
  return cookies;
}

/// Of the sockets on some ports those that are this process tree's.
inline std::vector<observed_socket> ours_of(std::vector<observed_socket> sockets,
                                            const std::vector<lease_note>& leases,
                                            const baseline& before, const sightings& seen) {
  const auto not_ours = [&](const observed_socket& socket) {
    // On a leased port there may be one of a program that has taken the port.
    const bool leased =
        socket.owned != ownership::found && lease_of(leases, key_of(socket)) != nullptr;
    return attribute(socket, leased, before, seen) != attribution::ours;
  };
  sockets.erase(std::remove_if(sockets.begin(), sockets.end(), not_ours), sockets.end());
  return sockets;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
