// SPDX-License-Identifier: BSL-1.0
#include "launch_and_end.hpp"

#include <chrono>
#include <exception>
#include <stdexcept>

#include "bind_notes.hpp"
#include "command.hpp"
#include "conclude_run.hpp"
#include "isolation.hpp"
#include "launcher.hpp"

namespace tidewait::command {
namespace {

witnessing how_to_witness(const run_options& options) {
  if (options.no_witness) return witnessing::off;
  if (options.witness == "require") return witnessing::required;
  return options.witness == "prefer" ? witnessing::asked : witnessing::automatic;
}

/// A process that outlives the launcher has nobody left who answers its calls.
gap why_not_witnessed(const run_options& options, const run_request& what, bool all_end) {
  if (options.keep_orphans) {
    return {"with --keep-orphans processes outlive the launcher, and could no longer bind", ""};
  }
  if (all_end) return {};
  for (const policy_rule& each : what.in_force.rules()) {
    if (each.owner.empty() || each.state || each.ports || !each.path.empty() ||
        each.action == action::fail)
      continue;
    return {
        "the policy lets " + each.owner + " outlive the launcher, and it could then no longer bind",
        ""};
  }
  return {};
}

/// Ends what the command left running, and says if it was hard.
void end_what_is_left(process_tree& tree, const run_request& what, bool all) {
  constexpr std::chrono::seconds grace{2};
  say(to_text(tree.end_all(grace, [&](const tree_process& each) {
    return !all && is_tolerated(what.in_force, each, what.name);
  })));
}

}  // namespace

run_report launch_and_end(const run_options& options, const run_request& asked) {
  isolation network;
  if (options.isolate != "no") {
    const std::string denied = network.enter();
    if (!denied.empty() && options.isolate == "require")
      throw std::runtime_error{"no network namespace of its own: " + denied};
    if (!denied.empty()) say("tidewait: warning: not isolated: " + denied + '\n');
  }

  launch what;
  what.asked = asked;
  const std::vector<port_lease> leases = lease_for(options, what.asked.command);
  for (const port_lease& each : leases) {
    for (const int lock : each.lock_descriptors()) what.inherited.push_back(lock);
  }

  bind_witness witness{how_to_witness(options),
                       why_not_witnessed(options, asked, network.keeper() != 0)};
  what.witness = &witness;
  what.may_be_killed = options.ctest_measurement && options.explain != "never";
  process_tree tree{network.keeper()};
  if (options.keep_orphans) tree.relay_output();
  run_report result;
  bool broken = false;
  try {
    result = run_and_look(what, tree);
  } catch (const std::exception& error) {
    if (!tree.started()) throw;
    broken = true;
    result.found.test = asked.name;
    if (tree.ended()) result.status = tree.status();
    result.error = asked.name + " cannot be judged" + (tree.ended() ? ": " : ", and is ended: ") +
                   error.what();
  }
  what.witness = nullptr;
  tell(options, result);
  // Nobody stays in a namespace that ends, nor where nobody looked who it is.
  const bool all = broken || network.keeper() != 0;
  if (broken || !options.keep_orphans) end_what_is_left(tree, asked, all);
  if (!options.json.empty()) add_stacks(result.witness);  // nobody else shows them
  return result;
}

}  // namespace tidewait::command
