// SPDX-License-Identifier: BSL-1.0
#include "conclude_run.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <tidewait/detail/glob.hpp>
#include <tidewait/detail/outcome.hpp>
#include <tidewait/detail/shared_state.hpp>

#include "bind_consequence.hpp"

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

/// Whether the command has no socket but those of the binds that were witnessed.
bool is_whole(const testimony& seen) {
  const auto is_lost = [](const witnessed_bind& each) {
    return !each.partial.empty() && each.cookie == 0 && each.inode == 0;
  };
  return seen.absent.empty() && seen.unrecorded == 0 &&
         std::none_of(seen.binds.begin(), seen.binds.end(), is_lost);
}

/// What the look has to know of the command; `seen` has to outlive it.
detail::ended_command describe_command(const testimony& seen) {
  detail::ended_command command;
  command.why_harmless = [&seen](const observed_socket& socket) {
    return socket.state == socket_state::time_wait ? why_harmless(seen, socket.local.port) : "";
  };
  if (!is_whole(seen)) return command;
  command.ports.emplace();
  for (const witnessed_bind& each : seen.binds) command.ports->push_back(port_of(each));
  return command;
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

report look_after_end(watch& look_after, look_depth depth, const run_request& what,
                      const testimony& seen, const judged_inside& inside) {
  detail::sightings& sightings = detail::shared_state::instance().seen;
  inside.mark_handled();
  sightings.command = describe_command(seen);
  report found = look_after.look(depth);
  sightings.command.reset();
  found.rules = rule_form::text;
  if (!what.named) found.rule_test.clear();
  return found;
}

void conclude(const run_request& what, const policy& rules, const judged_inside& inside,
              run_report& run) {
  detail::shared_state& shared = detail::shared_state::instance();
  run.told = inside.still_there();
  std::size_t still_there = 0;
  for (const told_by_test& each : run.told) still_there += each.sockets;
  const std::size_t reported = inside.reported_by(detail::test_of_environment());
  run.reported_and_gone = reported - std::min(reported, still_there);
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
