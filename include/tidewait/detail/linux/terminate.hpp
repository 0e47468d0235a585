// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/process_walk.hpp>
#include <tidewait/detail/linux/system.hpp>
#include <tidewait/process.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Offers each living process that is to be ended, as soon as it is found. Returns whether none was
/// missed: see `process_walker`.
using find_targets = std::function<bool(const std::function<void(living_process&&)>& found)>;

struct termination_rules {
  int signal = SIGTERM;                       ///< What asks a process to end.
  std::chrono::milliseconds grace{2000};      ///< From then on until SIGKILL.
  std::chrono::milliseconds kill_time{5000};  ///< From SIGKILL on until it is given up.
  /// Signals a process group as one, if all of it is to be ended: the kernel lets no fork slip
  /// through. Called before the first walk, and after each walk once SIGKILL has begun.
  std::function<void(int signal)> signal_group{};
  /// Waits, for about `step` and never beyond `until`, before the next walk of the grace. Instead
  /// of sleeping it may serve the processes.
  std::function<void(std::chrono::milliseconds step, std::chrono::steady_clock::time_point until)>
      wait{};
  /// Whether it is known from elsewhere that nobody is left (wait(2): no child). It then ends at
  /// once.
  std::function<bool()> nobody_left{};
};

/// What came of it.
struct termination {
  std::vector<process> killed{};     ///< Alive after the grace.
  std::vector<process> refused{};    ///< Not permitted: another user's, or a set-user-ID program.
  std::vector<process> survivors{};  ///< Alive after `kill_time` of SIGKILL.
  /// Whether nobody but those is left. Otherwise something forks and exits faster than it could be
  /// caught, or /proc could not be read.
  bool certain = true;

  bool all_ended() const noexcept { return certain && refused.empty() && survivors.empty(); }
};

/// Who it is, for a message.
inline process describe(const living_process& which) {
  process who;
  who.pid = which.stat.pid;
  who.relation = relation::descendant;
  who.name = sanitised(which.stat.name);
  who.command = read_command_line(which.directory.get());
  return who;
}

/// Ends all that `find` finds, and whatever they start meanwhile: asks, waits for the grace, kills.
/// A stopped process is continued, so that it can hear what it is told. Nobody is left when several
/// walks in a row have found nobody and missed nobody. Whom this user may not signal is not waited
/// for. Once it kills it does not sleep: a process that forks and exits would be ahead.
inline termination terminate(const find_targets& find, const termination_rules& rules) {
  using clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  constexpr std::size_t most_described = 64;  // of the others, of which there are many, the name
  constexpr int empty_walks_needed = 3;
  struct target {
    process who{};
    bool asked = false;
    bool killed = false;
    bool refused = false;
  };
  termination result;
  std::map<std::pair<int, std::uint64_t>, target> known;
  auto kill_from = clock::now() + rules.grace;
  auto give_up = kill_from + rules.kill_time;
  bool first = rules.grace.count() > 0;
  if (rules.signal_group && rules.grace.count() > 0) rules.signal_group(rules.signal);
  milliseconds step{1};
  int missed = 0;  // walks in a row that found nobody and may have missed somebody
  for (int empty_walks = 0; empty_walks < empty_walks_needed;) {
    const bool by_force = !first && clock::now() >= kill_from;
    std::size_t living = 0;
    result.survivors.clear();
    const bool whole = find([&](living_process&& each) {
      const std::pair id{each.stat.pid, each.stat.start};
      target& one = known[id];
      if (one.refused) return;
      bool& told = by_force ? one.killed : one.asked;
      // To kill comes first: a description takes as long as a fork.
      std::error_code error;
      if (by_force) {
        error = send_signal(each.directory.get(), SIGKILL);
      } else if (!told) {
        constexpr int may_i = 0;  // kill(2): no signal, but the same check of rights
        error = send_signal(each.directory.get(), each.told ? may_i : rules.signal);
      }
      if (one.who.pid == 0) {
        one.who.pid = each.stat.pid;
        one.who.name = sanitised(each.stat.name);
        if (known.size() <= most_described) one.who = describe(each);
      }
      if (error == std::errc::operation_not_permitted) {
        one.refused = true;
        result.refused.push_back(one.who);
        return;
      }
      if (error == std::errc::no_such_process) return;
      if (!by_force && !told) send_signal(each.directory.get(), SIGCONT);
      if (by_force && !told) result.killed.push_back(one.who);
      told = true;
      ++living;
      result.survivors.push_back(one.who);
    });
    if (std::exchange(first, false)) {
      kill_from = clock::now() + rules.grace;  // the time of the walk is not theirs
      give_up = kill_from + rules.kill_time;
    }
    if (by_force && rules.signal_group) rules.signal_group(SIGKILL);
    if (rules.nobody_left && rules.nobody_left()) break;
    const bool empty = living == 0 && whole;
    empty_walks = empty ? empty_walks + 1 : 0;
    if (empty) continue;
    if (clock::now() >= give_up) {
      result.certain = living != 0 && whole;
      return result;
    }
    constexpr int most_at_once = 20;
    missed = living == 0 ? missed + 1 : 0;
    if (by_force || (missed != 0 && missed % most_at_once != 0)) continue;
    const milliseconds next = std::min(step, milliseconds{50});
    step *= 2;
    if (rules.wait) {
      rules.wait(next, kill_from);
    } else {
      sleep_for(next);
    }
  }
  result.survivors.clear();
  return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
