// SPDX-License-Identifier: BSL-1.0
#include "conclude_run.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/glob.hpp>
#include <tidewait/detail/outcome.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/journal.hpp>

namespace tidewait::command {
namespace {

/// Whether the kernel chose the number, as the witness has seen it; nothing: no bind was seen.
std::optional<bool> kernel_chose(const testimony& seen, std::uint16_t port) {
  std::optional<bool> chose;
  for (const witnessed_bind& each : seen.binds) {
    if (each.error || port_of(each) != port) continue;
    chose = chose.value_or(true) && each.kernel_chose_port;
  }
  return chose;
}

/// When the command has ended, each process below us has lost who started it.
template <typename Diagnosis>
auto sockets_of_orphans(const Diagnosis& why) {
  auto sockets = why.conflicting;
  sockets.insert(sockets.end(), why.unrelated.begin(), why.unrelated.end());
  for (auto& socket : sockets) {
    for (process& owner : socket.owners) {
      if (owner.relation == relation::descendant) owner.relation = relation::marked_orphan;
    }
  }
  return sockets;
}

/// The rules that let the command leave these processes running. Like all that is recorded, each
/// for this test alone, if the command is one.
std::vector<policy_rule> rules_for(const std::vector<tree_process>& orphans,
                                   const std::string& test) {
  std::vector<policy_rule> rules;
  for (const tree_process& each : orphans) {
    if (each.pid == 0) continue;  // one that was not seen
    policy_rule rule;
    rule.owner = each.name;
    rule.test = test;
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

const policy_rule* deciding_rule(const policy& rules, const tree_process& process,
                                 const std::string& test) {
  const policy_rule* decides = nullptr;
  for (const policy_rule& rule : rules.rules()) {
    if (rule.owner.empty() || rule.owner != process.name || rule.state || rule.ports ||
        !rule.path.empty() || !rule.tag.empty()) {
      continue;
    }
    if (rule.test.empty() || detail::matches(rule.test, test)) decides = &rule;
  }
  return decides;
}

bool is_tolerated(const policy& rules, const tree_process& process, const std::string& test) {
  const policy_rule* const decides = deciding_rule(rules, process, test);
  if (decides == nullptr || decides->action == action::fail) return false;
  detail::shared_state::instance().tolerated.let_pass(*decides,
                                                      "pid " + std::to_string(process.pid));
  return true;
}

void call_descendants_orphans(report& found) {
  if (found.findings.empty() && found.unix_findings.empty()) return;
  for (finding& each : found.findings) {
    bind_environment environment = detail::environment_now(found.seen, each.why.request.local.port);
    environment.leased = each.lease.has_value();
    each.why =
        diagnose(each.why.request, sockets_of_orphans(each.why), each.why.outcome, environment);
  }
  for (unix_finding& each : found.unix_findings) {
    const std::vector<observed_unix> sockets = sockets_of_orphans(each.why);
    if (sockets.empty() || sockets.front().stale_file) continue;
    const auto facts = detail::look_at_unix_name(each.why.name, sockets.front().kind);
    each.why = diagnose_unix(each.why.name, sockets, facts, detail::environment_now(found.seen));
  }
}

std::set<std::uint16_t> recognise_own_tests(run_report& run, const policy& rules,
                                            std::uint64_t since) {
  std::vector<journal_entry> left = read_journal();
  const auto not_inside = [since](const journal_entry& each) {
    return each.event != journal_event::left_behind || each.time < since ||
           each.socket.cookie == 0 || each.run == detail::ensure_run_mark();
  };
  left.erase(std::remove_if(left.begin(), left.end(), not_inside), left.end());
  if (left.empty()) return {};
  const auto is_told = [&](finding& found) {
    told_by_test told{{}, to_string(found.why.request.local), found.count()};
    bool all = true;
    for (auto* const list : {&found.why.conflicting, &found.why.unrelated}) {
      for (observed_socket& socket : *list) {
        const journal_entry* reported = nullptr;
        bool let_pass = false;
        for (const journal_entry& each : left) {
          if (each.socket.cookie != socket.cookie || !(each.socket.local == socket.local)) continue;
          socket.test.clear();
          socket.left_behind = false;
          if (each.reported) reported = &each;
          const policy_rule* const rule = rules.match(socket, each.test);
          let_pass = let_pass || (rule != nullptr && rule->action == action::tolerate);
        }
        all = all && (reported != nullptr || let_pass);
        if (reported != nullptr) told.test = reported->test;
      }
    }
    if (all && found.fails && !told.test.empty()) run.told.push_back(std::move(told));
    return all && found.count() != 0;
  };
  std::vector<finding> others;
  for (finding& each : run.found.findings) {
    if (!is_told(each)) others.push_back(std::move(each));
  }
  run.found.findings = std::move(others);
  std::size_t still_there = 0;
  for (const told_by_test& each : run.told) still_there += each.sockets;
  const auto reported = static_cast<std::size_t>(
      std::count_if(left.begin(), left.end(), [&](const journal_entry& each) {
        return each.reported && !each.ctest_name.empty() &&
               each.ctest_name == detail::test_of_environment();
      }));
  run.reported_and_gone = reported - std::min(reported, still_there);
  std::set<std::uint16_t> ports;
  for (const journal_entry& each : left) ports.insert(each.socket.local.port);
  return ports;
}

void conclude(const run_request& what, const policy& rules, const std::set<std::uint16_t>& counted,
              run_report& run) {
  detail::shared_state& shared = detail::shared_state::instance();
  for (finding& each : run.found.findings) {
    const auto chose = kernel_chose(run.witness, each.why.request.local.port);
    if (chose && !each.lease) each.port_was_chosen = *chose;
  }
  const std::string test = what.named ? what.name : "";
  run.warns_only = rules.warns_only();
  // The rule of a process lets its sockets pass as well.
  const std::vector<policy_rule> of_processes = rules_for(run.orphans, test);
  policy recorded;
  for (const policy_rule& each : of_processes) recorded.add(each);
  const std::string unrecorded = detail::record_rules(of_processes);
  detail::conclude(shared, run.found, test, rules, run.status == 0, recorded);
  if (!unrecorded.empty()) run.found.incidents.push_back(unrecorded);
  for (const harmless_port& each : run.harmless) {
    if (counted.count(each.local.port) != 0) continue;
    detail::tally_finding entry;
    entry.verdict = detail::tally_verdict::harmless;
    entry.test = run.found.test;
    entry.kind = "TIME_WAIT";
    entry.place = to_string(each.local);
    entry.count = each.count;
    shared.counts.add(std::move(entry));
  }
  for (const tree_process& each : run.orphans) {
    detail::tally_finding entry;
    if (run.warns_only) entry.verdict = detail::tally_verdict::warned;
    entry.test = what.name;
    entry.kind = "a process running";
    entry.place = "(" + each.name + ')';
    entry.fix = "end what the command starts, and wait for it";
    shared.counts.add(std::move(entry));
  }
}

}  // namespace tidewait::command
