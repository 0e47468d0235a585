// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/baseline.hpp>
#include <tidewait/detail/environment_now.hpp>
#include <tidewait/detail/interference.hpp>
#include <tidewait/detail/journal_binds.hpp>
#include <tidewait/detail/judge_conduct.hpp>
#include <tidewait/detail/left_connections.hpp>
#include <tidewait/detail/leftovers.hpp>
#include <tidewait/detail/look_at_call.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/noted_test.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/outcome.hpp>
#include <tidewait/detail/report_columns.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/unix_leftovers.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/watch.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A watch at work.
class watch_state {
 public:
  watch_state(policy rules, test_id test, look_depth depth)
      : shared_{shared_state::instance()},
        rules_{std::move(rules)},
        id_{std::move(test)},
        test_{name_test(id_)},
        before_{take_baseline(shared_, depth, test_)},
        noted_{shared_, test_},
        unix_before_{take_unix_baseline(shared_, depth, before_.private_namespace)},
        number_{shared_.watches.begin(test_, before_.binds_from)} {
    shared_.binds.on_call(&look_at_call);
    try {
      shared_.counts.watching();
      rules_.add(shared_.outside.read());
      if (rules_.audited()) begin_audit(shared_, rules_);
      shared_.counts.know(rules_);
    } catch (const policy_error& error) {
      bad_policy_ = std::string{policy_variable} + ": " + error.what();
    }
  }
  watch_state(const watch_state&) = delete;
  watch_state& operator=(const watch_state&) = delete;
  ~watch_state() { shared_.watches.end(number_); }

  look_depth depth() const noexcept { return before_.depth; }
  void cut_short() noexcept { to_its_end_ = false; }

  report look(look_depth depth) noexcept {
    report found;
    try {
      found.test = test_;
      found.rule_test = test_;
      found.detail = detail_of_environment();
      if (before_.pid != process_id()) return found;
      note_interference(shared_);
      found.incidents = shared_.told.take_incidents();
      // Not blindness: a policy that says to skip what cannot be looked at has no say in it.
      if (!bad_policy_.empty()) found.incidents.push_back(bad_policy_);
      look_into(found, depth);
    } catch (const std::exception& error) {
      set_blind(found, {error.what(), ""});
    } catch (...) {
      set_blind(found, {"an unknown exception", ""});
    }
    if (!shared_.counts.launcher) finish(found);
    noted_.note(found);
    return found;
  }

 private:
  static const std::string& name_test(test_id& test) {
    if (test.name.empty()) test.name = test_of_environment();
    return test.name;
  }

  void finish(report& found) noexcept {
    try {
      if (before_.pid == process_id()) conclude(shared_, found, id_, rules_, to_its_end_);
    } catch (...) {
      // No memory: the report is complete, what is counted is not.
    }
  }

  void set_blind(report& found, const gap& unseen) const noexcept {
    found.blind_fails = rules_.on_blind() == when_blind::fail;
    try {
      if (found.blind.empty() && !found.blind_fails)
        found.blind_told = !shared_.told.first_time("blind " + to_string(unseen));
      found.blind = unseen;
    } catch (...) {
      found.blind.why = "no memory";  // fits into the string itself
      found.blind.fix.clear();
    }
  }

  void look_into(report& found, look_depth depth) {
    if (!before_.blind.empty()) return set_blind(found, before_.blind);
    const std::uint64_t here = current_net_namespace();
    if (before_.net_namespace != here && (here == 0 || before_.net_namespace == 0)) {
      return set_blind(found, {"cannot determine the network namespace of this thread: stat of "
                               "/proc/thread-self/ns/net failed",
                               "mount /proc"});
    }
    if (before_.net_namespace != here) {
      return set_blind(found,
                       {"this thread is in a different network namespace from the one the test "
                        "began in",
                        "switch back with setns() before the test ends"});
    }
    const socket_table now = look_at_sockets(open_ports_query(depth));
    found.seen = now.seen;
    if (now.seen.sock_diag_error || before_.depth == look_depth::thorough) {
      for (const gap& each : gaps(now.seen)) shared_.told.note(to_string(each), to_string(each));
    }
    if (now.seen.blind()) return set_blind(found, merged(gaps(now.seen)));
    before_.threads = shared_.watches.any_on_other_thread();
    std::vector<lease_note> leases = shared_.leases.to_judge();
    if (before_.threads) keep_own(leases);
    const std::vector<port_key> served = still_served(now.sockets, before_, shared_.seen);
    binds_ = binds_since(shared_.binds, before_.binds_from, test_, before_.threads);
    judge_conduct(shared_, binds_, rules_, found);
    journal_binds(shared_, binds_);
    std::vector<std::uint16_t> own;
    if (!before_.threads) own = shared_.seen.own_ports();
    note_ports(binds_, test_, shared_.seen, own);
    own = only_own(std::move(own), leases, served);
    const port_probes probes = probe_ports(only_unserved(leases, served, here), own);
    if (probes.blind) {
      return set_blind(found, {"a leased port cannot be probed: " + probes.blind.message(), ""});
    }
    std::vector<port_key> ports = probes.own_busy;
    for (const port_key& port : ports_of(probes.busy))
      if (!contains(served, port)) add_port(ports, port);
    add_fresh_ports(now.sockets, before_, leases, binds_, shared_.seen, ports);
    look_for_time_waits(depth, served, ports);
    const auto reported =
        ports.empty() ? std::vector<lease_note>{} : investigate(ports, leases, found);
    shared_.leases.judged(probes.clean, reported);
    const auto passes = [&](const auto& rule, const auto& what) { let_pass(rule, what); };
    judge_sharing(shared_, rules_, id_, found, passes);
    if (!before_.threads) {
      if (note_unix_binds(shared_, binds_)) depth = look_depth::thorough;
      look_at_unix_sockets(shared_, unix_before_, depth, before_.private_namespace, rules_, id_,
                           found, passes);
    }
    found.notes = shared_.told.take_notes();
  }

  /// Connections and TIME_WAITs on ports about which nobody has asked yet. In a namespace of the
  /// test's own they are the test's; elsewhere they may be another program's, and only a thorough
  /// look asks for them.
  void look_for_time_waits(look_depth depth, const std::vector<port_key>& served,
                           std::vector<port_key>& ports) const {
    if (before_.threads) return;
    if (depth == look_depth::thorough) add_own_connections(before_, shared_.seen, served, ports);
    if (before_.private_namespace) {
      for (const observed_socket& each : new_time_waits(before_, shared_.seen)) {
        if (!contains(served, key_of(each))) add_port(ports, key_of(each));
      }
    } else if (depth == look_depth::thorough) {
      for (const observed_socket& each : new_time_waits(before_, shared_.seen)) {
        const port_key port = key_of(each);
        if (contains(ports, port) || contains(served, port) ||
            lock_holder(port.protocol, port.port))
          continue;
        shared_.told.note("time_wait",
                          "a TIME_WAIT appeared on " + to_string(each.local) +
                              " during a test and cannot be attributed; lease the port or isolate "
                              "the test to have it checked");
      }
    }
  }

  std::vector<observed_socket> left_on(const std::vector<port_key>& ports, report& found) const {
    socket_query query = ports_query(ports);
    socket_table all = look_at_sockets(query);
    all.sockets = left_since(std::move(all.sockets), before_, ports, shared_.seen);
    query.owners = owner_reach::until_found;
    if (!all.sockets.empty()) name_owners(all, query);
    found.seen = all.seen;
    if (all.seen.blind()) set_blind(found, merged(gaps(all.seen)));
    find_keepers(all.sockets);
    if (shared_.seen.command) call_orphans(all.sockets);
    for (observed_socket& each : all.sockets) each.bound = binds_.of(each);
    return std::move(all.sockets);
  }

  /// The second, thorough half of a look; returns the leases on whose ports something was left.
  std::vector<lease_note> investigate(const std::vector<port_key>& ports,
                                      const std::vector<lease_note>& leases, report& found) {
    std::vector<observed_socket> left = left_on(ports, found);
    for (std::chrono::milliseconds step{1};
         any_passing(to_wait_for(left, rules_)) && found.waited < rules_.max_wait(); step *= 2) {
      const auto pause = std::min(step, rules_.max_wait() - found.waited);
      sleep_for(pause);
      found.waited += pause;
      left = left_on(ports, found);
    }
    describe_holders(left);
    name_other_tests(shared_, left, sockets_are::left);
    name_code(left);
    std::vector<lease_note> reported;
    for (const port_key& port : ports) {
      const lease_note* const lease = lease_of(leases, port);
      bind_environment environment = environment_now(found.seen, port.port);
      environment.strict = !rules_.judges_by_consequence();
      environment.leased = lease != nullptr;
      const auto judged = judge_sockets(port, left, environment.leased, rules_, id_, before_,
                                        shared_.seen, environment.rules);
      note_tolerated(judged, found);
      note_harmless(judged, found.harmless);
      auto each = explain_left(port, judged, lease, environment);
      if (each) found.findings.push_back(std::move(*each));
      if (!each && lease != nullptr && !found.seen.shows_bound_sockets() &&
          !is_taken_visibly(judged) && is_bind_refused(port)) {
        set_blind(found, merged(gaps(found.seen), "leased port " + std::to_string(port.port) +
                                                      " is taken, and no table shows by what: "));
      }
    }
    // Where this process cannot even read its own descriptors, the unseen owner may be itself.
    if (!found.seen.shows_own_sockets() && found.blind.empty()) {
      for (const finding& each : found.findings) {
        if (each.certain) continue;
        set_blind(found, merged(gaps(found.seen), "cannot determine who holds " +
                                                      to_string(each.why.request.local) + ": "));
        break;
      }
    }
    write_journal(shared_, journal_event::left_behind, ours_of(left, leases, before_, shared_.seen),
                  test_, cookies_that_fail(found, rules_));
    std::vector<std::uint64_t> told;
    for (const observed_socket& socket : left) {
      told.push_back(identity(socket));
      if (const lease_note* const lease = lease_of(leases, key_of(socket))) {
        reported.push_back(*lease);
      }
    }
    shared_.seen.mark_handled(told);
    tell_witness(shared_, found);
    std::stable_partition(found.findings.begin(), found.findings.end(),
                          [](const finding& each) { return each.fails; });
    return reported;
  }

  void note_tolerated(const std::vector<judged_socket>& judged, report& found) {
    for (const judged_socket& each : judged) {
      if (each.what == action::fail || each.rule == nullptr) continue;
      let_pass(*each.rule, to_string(each.socket.local));
      if (each.what == action::tolerate)
        found.tolerated.push_back(
            {state_text(each.socket), to_string(each.socket.local), *each.rule});
    }
  }
  void let_pass(const policy_rule& rule, const std::string& what) {
    shared_.tolerated.let_pass(rule, what + (test_.empty() ? "" : " in " + test_));
  }

  shared_state& shared_;
  policy rules_;
  test_id id_;
  std::string test_;
  bool to_its_end_ = true;
  std::string bad_policy_{};  ///< Why TIDEWAIT_POLICY cannot be read; empty if it can.
  baseline before_;
  noted_test noted_;
  unix_baseline unix_before_;
  std::uint64_t number_;
  witnessed_binds binds_{};  ///< Since the baseline, as of the last look.
};

}  // namespace detail

TIDEWAIT_INLINE watch::watch(policy rules, test_id test, look_depth depth)
    : state_{std::make_unique<detail::watch_state>(std::move(rules), std::move(test), depth)} {}

TIDEWAIT_INLINE watch::~watch() = default;

TIDEWAIT_INLINE report watch::look() noexcept { return state_->look(state_->depth()); }

TIDEWAIT_INLINE void watch::cut_short() noexcept { state_->cut_short(); }

TIDEWAIT_INLINE report watch::look(look_depth depth) noexcept { return state_->look(depth); }

}  // namespace v0
}  // namespace tidewait
