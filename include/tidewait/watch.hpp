// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/baseline.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/leftovers.hpp>
#include <tidewait/policy_text.hpp>
#include <tidewait/registry.hpp>
#include <tidewait/report.hpp>
#include <tidewait/socket_table.hpp>

namespace tidewait {
inline namespace v0 {

/// Notes which sockets there are when it is made, and later says which ones were left behind since.
///
///     tidewait::watch watch;
///     run();
///     if (const tidewait::report report = watch.look(); !report.clean()) std::cerr <<
///     render(report);
///
/// What counts is what belongs to this process, its descendants, orphans that carry the run's mark,
/// and whatever stands on a leased port. A socket is reported once, however many watches see it. In
/// a child of fork() a watch of the parent judges nothing.
class watch {
 public:
  /// `test` names in the report what was watched; if empty, TIDEWAIT_TEST does. The rules of
  /// TIDEWAIT_POLICY come on top of `rules`. Never throws for lack of sight: what kept it from
  /// taking the baseline is in the report of the look.
  explicit watch(policy rules = {}, std::string test = {}, look_depth depth = look_depth::quick)
      : rules_{std::move(rules)}, test_{std::move(test)}, before_{detail::take_baseline(depth)} {
    if (test_.empty()) test_ = detail::test_of_environment();
    try {
      rules_ = policy_from_environment(rules_);
    } catch (const observe_error& error) {
      before_.blind = std::string{policy_variable} + ": " + error.what();
    }
  }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;
  ~watch() { detail::registry::instance().end_watch(number_); }

  /// Looks now. Some 0.1 ms if nothing was left; only otherwise are owners searched and closing
  /// connections waited for, at most as long as the policy allows. Never throws: whatever kept it
  /// from looking is in the report, which is then not clean.
  report look() noexcept { return look(before_.depth); }

  /// The same, as closely as `depth` says: a thorough look after a quick baseline may also warn of
  /// bound sockets that were there before and whose holder cannot be seen.
  report look(look_depth depth) noexcept {
    report found;
    try {
      found.test = test_;
      if (before_.pid != ::getpid()) return found;
      found.incidents = detail::registry::instance().take_incidents();
      look_into(found, depth);
    } catch (const std::exception& error) {
      set_blind(found, error.what());
    } catch (...) {
      set_blind(found, "an unknown exception");
    }
    return found;
  }

 private:
  void set_blind(report& found, const std::string& why) const noexcept {
    found.blind_fails = rules_.on_blind() == when_blind::fail;
    try {
      found.blind = why;
    } catch (...) {
      found.blind = "no memory";  // fits into the string itself
    }
  }

  void look_into(report& found, look_depth depth) {
    detail::registry& shared = detail::registry::instance();
    if (!before_.blind.empty()) return set_blind(found, before_.blind);
    if (before_.net_namespace != detail::current_net_namespace()) {
      return set_blind(found,
                       "this thread is in another network namespace than when the test began; "
                       "return to the first (setns) before the test ends");
    }
    std::error_code error;
    const socket_table now = socket_table::current(detail::open_ports_query(depth), error);
    found.seen = now.seen;
    if (now.seen.sock_diag_error || before_.depth == look_depth::thorough) {
      for (const std::string& gap : gaps(now.seen)) shared.note(gap, gap);
    }
    if (error) return set_blind(found, detail::joined(gaps(now.seen), "; "));

    before_.threads = shared.watched_elsewhere();
    std::vector<lease_note> leases = shared.leases_to_judge();
    if (before_.threads) detail::keep_own(leases);
    const detail::lease_probes probes = detail::probe_leases(leases);
    if (probes.blind) {
      return set_blind(found, "a leased port cannot be probed: " + probes.blind.message());
    }
    std::vector<detail::port_key> ports = detail::ports_of(probes.busy);
    detail::add_fresh_ports(now.sockets, before_, leases, ports);
    if (const auto count = time_wait_count(); count > before_.time_wait_count && !before_.threads) {
      detail::add_time_wait_ports(before_, ports);
    }
    std::vector<lease_note> reported;
    if (!ports.empty()) reported = investigate(ports, leases, found);
    shared.judged(probes.clean, reported);
    found.notes = shared.take_notes();
  }

  std::vector<socket_entry> left_on(const std::vector<detail::port_key>& ports,
                                    report& found) const {
    socket_query query = detail::ports_query(ports);
    query.owners = owner_reach::until_found;
    std::error_code error;  // a table that was there a moment ago; if it is not, `seen` says so
    socket_table all = socket_table::current(std::move(query), error);
    found.seen = all.seen;
    if (error) set_blind(found, detail::joined(gaps(all.seen), "; "));
    std::vector<socket_entry> left = detail::left_since(std::move(all.sockets), before_, ports);
    detail::recognise_closed_listeners(left);
    return left;
  }

  /// The second, thorough half of a look; returns the leases on whose ports something was left.
  std::vector<lease_note> investigate(const std::vector<detail::port_key>& ports,
                                      const std::vector<lease_note>& leases, report& found) {
    std::vector<socket_entry> left = left_on(ports, found);
    for (std::chrono::milliseconds step{1};
         detail::any_passing(left) && found.waited < rules_.settle(); step *= 2) {
      const auto pause = std::min(step, rules_.settle() - found.waited);
      detail::sleep_for(pause);
      found.waited += pause;
      left = left_on(ports, found);
    }
    detail::name_earlier_tests(left);
    bind_environment environment;
    environment.rules = detail::read_port_rules();
    environment.pid_namespace = found.seen.pid_namespace;
    environment.owners = found.seen.owners;
    std::vector<lease_note> reported;
    for (const detail::port_key& port : ports) {
      const lease_note* const lease = detail::lease_of(leases, port);
      environment.leased = lease != nullptr;
      auto each = detail::judge_port(port, left, lease, rules_, test_, before_, environment);
      if (each) found.findings.push_back(std::move(*each));
    }
    write_journal(left, leases);
    std::vector<std::uint64_t> told;
    for (const socket_entry& socket : left) {
      told.push_back(detail::identity(socket));
      if (const lease_note* const lease = detail::lease_of(leases, detail::key_of(socket))) {
        reported.push_back(*lease);
      }
    }
    detail::registry::instance().settle_cookies(told);
    std::stable_partition(found.findings.begin(), found.findings.end(),
                          [](const finding& each) { return each.fails; });
    return reported;
  }

  void write_journal(const std::vector<socket_entry>& left,
                     const std::vector<lease_note>& leases) const {
    std::vector<journal_entry> entries;
    for (const socket_entry& socket : left) {
      const lease_note* const lease = detail::lease_of(leases, detail::key_of(socket));
      if (detail::attribute(socket, lease != nullptr, before_) != detail::attribution::ours)
        continue;
      journal_entry entry;
      entry.test = test_;
      entry.socket = socket;
      entry.pid = before_.pid;
      if (!socket.owners.empty()) entry.command = socket.owners.front().command;
      if (lease != nullptr) entry.leased_at = detail::to_text(lease->where);
      entry.time = detail::wall_clock();
      entries.push_back(std::move(entry));
    }
    if (const auto error = append_journal(entries)) {
      detail::registry::instance().note("journal", "the journal " + std::string{journal_path()} +
                                                       " cannot be written: " + error.message());
    }
  }

  policy rules_;
  std::string test_;
  detail::baseline before_;
  std::uint64_t number_ = detail::registry::instance().begin_watch();
};

}  // namespace v0
}  // namespace tidewait
