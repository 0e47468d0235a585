// SPDX-License-Identifier: BSL-1.0
#include "launcher.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/watch.hpp>

#include "bind_consequence.hpp"
#include "bind_notes.hpp"
#include "command.hpp"
#include "conclude_run.hpp"
#include "files.hpp"
#include "judged_inside.hpp"
#include "listener_sampler.hpp"
#include "run_tally.hpp"

namespace tidewait::command {
namespace {

using clock = std::chrono::steady_clock;

/// A TIME_WAIT has no owner, but on a port that a server of the command had it is the command's.
void claim_ports(const testimony& seen) {
  const std::uint64_t here = detail::current_net_cookie();
  for (const witnessed_bind& each : seen.binds) {
    const bool serves = each.listening || !each.kernel_chose_port;
    const std::uint16_t port = port_of(each);
    if (each.kind != socket_kind::tcp || port == 0 || !serves) continue;
    if (each.net_cookie == here && each.sure != certainty::unknown) {
      detail::shared_state::instance().seen.note_own_listener(port);
    }
  }
}

/// A socket file has no owner, but where the command has bound a path its file is the command's.
void claim_paths(const testimony& seen) {
  for (const witnessed_bind& each : seen.binds) {
    if (!each.error) detail::shared_state::instance().unix_sockets.note_path(each.file);
  }
}

/// Writes into the journal which binds the command made.
void note_binds(run_report& run) {
  if (journal_path().empty()) return;
  bind_notes notes = to_notes(run.witness, run.found.test, most_bind_notes);
  const std::error_code error = append_journal(std::move(notes.lines));
  // That the file is not to be trusted is said by those who read it.
  if (error && error != errc::untrusted_file) {
    run.found.notes.push_back("the binds are not in the journal: " + error.message());
  } else if (notes.left_out != 0 && !has_journal_of_run()) {
    run.found.notes.push_back(detail::counted(notes.left_out, "bind") +
                              " more than the journal has room for");
  }
}

/// Adds to the report a listener of another program beside one of the command's.
void report_shared(const std::vector<observed_socket>& sockets, const policy& rules,
                   report& found) {
  const observed_socket& ours = sockets.back();
  const policy_rule* const rule = rules.match(ours, found.test);
  if (rule != nullptr && rule->action != action::fail) {
    detail::shared_state::instance().tolerated.let_pass(*rule, to_string(ours.local));
  }
  if (rule != nullptr && rule->action == action::tolerate) {
    found.tolerated.push_back({"a shared port", to_string(ours.local), *rule});
    return;
  }
  bind_request request;
  request.protocol = ours.protocol;
  request.local = ours.local;
  request.ipv6_only = sockets.front().ipv6_only();
  // The bind that counts is the one that succeeded, and should not have.
  finding shared;
  shared.fails = rule == nullptr || rule->action == action::fail;
  if (rule != nullptr) shared.decided_by = *rule;
  shared.why = diagnose(request, sockets, {}, detail::environment_now({}, request.local.port));
  shared.why.next_bind =
      std::string{"succeeded while the command ran, only because both set "} +
      (request.protocol == protocol::udp ? "SO_REUSEADDR or SO_REUSEPORT" : "SO_REUSEPORT");
  shared.why.explanations.resize(std::min<std::size_t>(1, shared.why.explanations.size()));
  const bool fails = shared.fails && !rules.warns_only();
  detail::write_journal(detail::shared_state::instance(), journal_event::shared, {ours}, found.test,
                        fails ? std::vector{ours.cookie} : std::vector<std::uint64_t>{});
  found.findings.insert(found.findings.begin(), std::move(shared));
}

/// Who outlived the command and is not tolerated. Those that are about to end may do so. Tolerated
/// is only what was seen: several looks in a row have to show that there is nobody else. Returns
/// why it could not look; empty if it could.
gap find_orphans(process_tree& tree, const policy& rules, run_report& run,
                 std::map<int, tolerated_socket>& spared) {
  const auto spare = [&](const tree_process& each) {
    if (!is_tolerated(rules, each, run.found.test)) return false;
    spared.emplace(each.pid, tolerated_socket{"a process", each.name,
                                              *deciding_rule(rules, each, run.found.test)});
    return true;
  };
  if (tree.wait_for_all(std::chrono::microseconds{0})) return {};
  const auto start = clock::now();
  const auto settled = start + rules.max_wait();
  constexpr int looks_needed = 3;
  constexpr int most_late_looks = 50;  // to name a process that forks and exits on and on
  int looks = 0;
  int late_looks = 0;
  std::chrono::microseconds pause{1000};
  for (;;) {
    tree_walk seen = tree.look(spare);
    const bool nobody_else = seen.whole && seen.found.empty() && seen.spared != 0;
    looks = nobody_else ? looks + 1 : 0;
    if (looks == looks_needed) return {};
    const auto now = clock::now();
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(settled - now);
    const bool late = left.count() <= 0;
    run.waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - start);
    if (late && !seen.found.empty()) {
      run.orphans = std::move(seen.found);
      return {};
    }
    const bool ended = tree.wait_for_all(late || nobody_else ? std::chrono::microseconds{0}
                                                             : std::min(pause, left));
    if (ended) return {};
    pause = std::min(pause * 2, std::chrono::microseconds{20000});
    if (!late || ++late_looks < most_late_looks) continue;
    if (!tree.can_look() || seen.whole) {
      return {"a process is left running, and /proc does not show which", ""};
    }
    run.orphans.emplace_back();
    run.orphans.back().name = "?";
    run.orphans.back().command = "not seen: it forks and exits faster than /proc can be read";
    return {};
  }
}

/// Says which binds failed while the command still runs, if it goes on for a while after them:
/// waiting for a server that could not bind is what makes a test time out, and then nobody is left
/// to say it.
class early_word {
 public:
  explicit early_word(const launch& what) : witness_{what.may_be_killed ? what.witness : nullptr} {}

  void say_in_time() {
    constexpr std::chrono::seconds patience{2};
    if (witness_ == nullptr) return;
    const std::size_t failed = witness_->failed();
    const auto now = clock::now();
    if (std::exchange(failed_, failed) != failed) since_ = now;
    if (failed_ == told_ || now - since_ < patience) return;
    told_ = failed_;
    const testimony seen = witness_->so_far();
    said_ = describe_failures(seen);
    say(describe_failures(seen, true));
  }
  std::string said() && { return std::move(said_); }

 private:
  bind_witness* witness_;
  std::size_t failed_ = 0;
  std::size_t told_ = 0;
  clock::time_point since_{};
  std::string said_;
};

}  // namespace

run_report run_and_look(const launch& what, process_tree& tree) {
  run_report run;
  run.isolated = detail::in_private_net_namespace();
  detail::program_tally& counts = detail::shared_state::instance().counts;
  detail::shared_state::instance().journal.launched = last_part(what.asked.command.front());
  watch look_after{what.asked.rules, what.asked.name};
  counts.ran_all_tests(true);  // as far as it goes: the command says for itself
  const policy& rules = what.asked.in_force;
  listener_sampler sampler{what.asked.name, run.isolated};
  const std::uint64_t since = detail::wall_clock();

  const auto start = clock::now();
  if (what.witness == nullptr) {
    tree.start(what.asked.command, what.inherited);
  } else {
    tree.start(what.asked.command, what.inherited, [&] { return what.witness->install(); });
    what.witness->begin([&](int line) { tree.wait_for_input(line); });
  }
  std::chrono::microseconds pause{1000};
  early_word early{what};
  while (!tree.wait_for_command(pause)) {
    pause = sampler.sample();
    early.say_in_time();
  }
  run.said_failures = std::move(early).said();
  run.took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start);
  run.found.test = what.asked.name;
  run.witness.absent = {"nobody was asked to", ""};
  if (what.witness != nullptr) run.witness = what.witness->so_far();
  if (what.witness != nullptr && what.witness->refused()) {
    run.error = detail::sanitised(what.asked.name) +
                " was not run: its binds cannot be witnessed (--witness=require): " +
                to_string(run.witness.absent);
    return run;
  }
  if (const auto error = tree.start_error()) {
    run.error =
        "cannot run " + detail::sanitised(what.asked.command.front()) + ": " + error.message();
    if (tree.status() == 126 || tree.status() == 127) run.status = tree.status();
    return run;
  }
  run.status = tree.status();
  run.ended_by = tree.ended_by();
  if (run.witness.broken) {
    run.error = detail::sanitised(what.asked.name) +
                " cannot be judged: the witness of its binds had to give up, and they failed with "
                "ENOSYS; run it with --no-witness";
  }
  std::map<int, tolerated_socket> spared;
  const gap blind = find_orphans(tree, rules, run, spared);
  // A bound socket lives as long as its holder, and to list them takes a millisecond or two.
  const bool any_alive = !tree.wait_for_all(std::chrono::microseconds{0});
  if (any_alive) sampler.sample();
  claim_ports(run.witness);
  claim_paths(run.witness);
  const judged_inside inside{since, what.asked.rules};
  run.found = look_after_end(look_after, any_alive ? look_depth::thorough : look_depth::quick,
                             what.asked, run.witness, inside);
  for (auto& [pid, each] : spared) run.found.tolerated.push_back(std::move(each));
  if (!blind.empty()) {
    // That something is left is certain, and comes before what the look could not determine.
    if (!run.found.blind.empty())
      run.found.notes.push_back("could not look: " + to_string(run.found.blind));
    run.found.blind = blind;
    run.unnamed = true;
    run.found.blind_fails = rules.on_blind() == when_blind::fail;
  }
  for (std::string& each : describe(run.found.harmless)) run.found.notes.push_back(std::move(each));
  judge_conduct(run.found, run.witness, rules,
                [&](const witnessed_bind& each) { return inside.has(each); });
  note_binds(run);
  for (const auto& sockets : sampler.shared()) {
    if (!inside.has_told_sharing(sockets.back())) report_shared(sockets, rules, run.found);
  }
  conclude(what.asked, rules, inside, run);
  return run;
}

}  // namespace tidewait::command
