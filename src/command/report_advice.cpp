// SPDX-License-Identifier: BSL-1.0
#include "report_advice.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <utility>

#include <tidewait/detail/text.hpp>

namespace tidewait::command {
namespace {

/// What CTest runs: a test, or a program of several.
struct unit {
  report_time duration = 0;
  std::vector<std::size_t> locks;  // numbers of port groups
};

/// How long `jobs` workers take when units that share a lock never run at once. They start in this
/// order: the longest first, as CTest does it.
report_time length_of(const std::vector<unit>& units, std::size_t locks, std::size_t jobs,
                      std::size_t unlocked, bool locked) {
  // The units that wait, as a chain: next[i] comes after i, and next[0] is the first, number 1.
  std::vector<std::size_t> next(units.size() + 1);
  std::iota(next.begin(), next.end(), std::size_t{1});
  const std::size_t end = units.size() + 1;
  std::vector<char> taken(locks);
  using ending = std::pair<report_time, std::size_t>;
  std::priority_queue<ending, std::vector<ending>, std::greater<>> running;
  report_time now = 0;
  const auto may_start = [&](const unit& each) {
    return std::none_of(each.locks.begin(), each.locks.end(), [&](std::size_t lock) {
      return locked && lock != unlocked && taken[lock] != 0;
    });
  };
  while (next[0] != end || !running.empty()) {
    constexpr std::size_t most_blocked = 256;  // are looked at for one that may start
    std::size_t blocked = 0;
    for (std::size_t before = 0;
         next[before] != end && running.size() < jobs && blocked < most_blocked;) {
      const unit& each = units[next[before] - 1];
      if (!may_start(each)) {
        ++blocked;
        before = next[before];
        continue;
      }
      for (const std::size_t lock : each.locks) taken[lock] = 1;
      running.push({now + each.duration, next[before] - 1});
      next[before] = next[next[before]];
    }
    now = running.top().first;
    while (!running.empty() && running.top().first == now) {
      for (const std::size_t lock : units[running.top().second].locks) taken[lock] = 0;
      running.pop();
    }
  }
  return now;
}

std::string seconds(report_time duration) {
  return detail::to_text(std::chrono::milliseconds{duration / 1000});
}

class adviser {
 public:
  adviser(const journal_records& records, const report_model& model, const report_summary& summary)
      : in_{records}, model_{model}, summary_{summary} {}

  report_advice make(std::size_t jobs) {
    out_.jobs = std::max<std::size_t>(1, jobs);
    find_units();
    constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    for (const unit& each : units_) out_.serial += each.duration;
    out_.locked = length_of(units_, summary_.groups.size(), out_.jobs, none, true);
    out_.free = length_of(units_, summary_.groups.size(), out_.jobs, none, false);
    close_what_is_left();
    reuse_addresses();
    keep_apart();
    free_ports();
    return std::move(out_);
  }

 private:
  text_id key_of(const test_run& test) const { return test.ctest != 0 ? test.ctest : test.name; }

  void find_units() {
    std::map<std::pair<text_id, std::size_t>, report_time> sums;  // of each unit and process
    std::set<text_id> all;
    for (const test_run& each : model_.tests) {
      if (each.container) continue;
      all.insert(key_of(each));
      if (each.measured) sums[{key_of(each), each.process}] += each.end - each.begin;
    }
    std::map<text_id, report_time> durations;
    for (const auto& [key, sum] : sums) durations[key.first] = std::max(durations[key.first], sum);
    out_.unmeasured = all.size() - durations.size();
    std::map<text_id, std::size_t> numbers;
    for (const auto& [key, duration] : durations) {
      numbers[key] = units_.size();
      units_.push_back({duration, {}});
    }
    for (std::size_t i = 0; i < summary_.groups.size(); ++i) {
      for (const std::size_t run : summary_.groups[i].runs) {
        const auto found = numbers.find(key_of(model_.tests[run]));
        if (found == numbers.end()) continue;
        auto& locks = units_[found->second].locks;
        if (std::find(locks.begin(), locks.end(), i) == locks.end()) locks.push_back(i);
      }
    }
    std::stable_sort(units_.begin(), units_.end(),
                     [](const unit& a, const unit& b) { return a.duration > b.duration; });
  }

  /// The program that runs a test: of most projects, its target.
  std::string program_of(const test_run& test) const {
    const report_process& process = model_.processes[test.process];
    if (process.launched != 0) return in_.texts[process.launched];
    const std::string& program = in_.texts[process.program];
    const bool is_launcher = program == "tidewait";
    return program.empty() || is_launcher ? "<target of " + in_.texts[test.name] + '>' : program;
  }

  std::string estimate(report_time after) const {
    return "ctest -j" + std::to_string(out_.jobs) + " then takes about " + seconds(after);
  }

  /// Less than a fiftieth is less than such an estimate knows.
  bool matters(report_time gain) const { return gain > out_.locked / 50; }

  /// "a, b and 3 more"
  static std::string list_of(const std::vector<std::string>& all) {
    constexpr std::size_t most = 6;
    std::string text;
    for (std::size_t i = 0; i < all.size() && i < most; ++i) {
      if (i != 0) text += i + 1 == all.size() ? " and " : ", ";
      text += all[i];
    }
    if (all.size() > most) text += " and " + std::to_string(all.size() - most) + " more";
    return text;
  }

  /// Each once, those that come up most often first.
  static std::vector<std::string> most_frequent_first(
      const std::map<std::string, std::size_t>& counts) {
    std::vector<std::pair<std::string, std::size_t>> sorted{counts.begin(), counts.end()};
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    std::vector<std::string> names;
    for (auto& [name, count] : sorted) names.push_back(std::move(name));
    return names;
  }

  void close_what_is_left() {
    std::map<std::string, std::size_t> sockets;
    std::set<text_id> tests;
    for (const port_span& span : model_.spans) {
      if (!span.left) continue;
      const text_id test = model_.tests[span.test].name;
      tests.insert(test);
      const std::string& place = in_.texts[in_.records[span.record].place];
      const bool is_bound = span.bind_seen && !place.empty();
      ++sockets[in_.texts[test] + ": " +
                (is_bound ? "bound at " + place
                          : place_of(in_, span.protocol, span.address, span.port))];
    }
    if (sockets.empty()) return;
    report_step step;
    step.what = "Close what " + detail::counted(tests.size(), "test") +
                (tests.size() == 1 ? " leaves open" : " leave open");
    step.why = "the next bind to such a port fails";
    constexpr std::size_t most = 6;
    const std::vector<std::string> all = most_frequent_first(sockets);
    for (std::size_t i = 0; i < all.size() && i < most; ++i) step.paste.push_back("// " + all[i]);
    if (all.size() > most)
      step.paste.push_back("// and " + std::to_string(all.size() - most) + " more");
    out_.steps.push_back(std::move(step));
  }

  /// Where a TIME_WAIT has made a bind fail, or the next one will.
  void reuse_addresses() {
    std::map<std::string, std::size_t> places;
    std::size_t failed = 0;
    std::size_t blocking = 0;
    const auto add = [&](std::size_t number, std::size_t test, std::size_t count) {
      const journal_record& of = in_.records[number];
      const std::string& place = in_.texts[of.place];
      places[!place.empty() ? "at " + place
                            : "to " + place_of(in_, of.protocol, of.address, of.port) + " in " +
                                  in_.texts[model_.tests[test].name]] += count;
    };
    for (const failed_bind_seen& each : model_.failures) {
      if (!each.time_wait) continue;
      failed += each.count;
      const bool reuses = in_.records[each.record].has(record_flag::reuse_address);
      if (!reuses) add(each.record, each.test, each.count);
    }
    for (const port_span& span : model_.spans) {
      if (span.time_waits == 0 || !judge_time_waits(span).blocks || !span.bind_seen ||
          span.reuse_address) {
        continue;
      }
      blocking += span.time_waits;
      add(span.record, span.test, span.time_waits);
    }
    if (places.empty()) return;
    report_step step;
    step.what = "Set SO_REUSEADDR before bind " + list_of(most_frequent_first(places));
    step.paste = {"const int on = 1;", "setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);"};
    step.why = failed != 0
                   ? "TIME_WAIT made " + detail::counted(failed, "bind") + " fail"
                   : detail::counted(blocking, "TIME_WAIT") + (blocking == 1 ? " keeps" : " keep") +
                         " a bind from succeeding for a minute";
    out_.steps.push_back(std::move(step));
  }

  void keep_apart() {
    std::map<std::string, std::set<std::uint16_t>> ports;
    for (const port_group& group : summary_.groups) {
      for (const std::size_t run : group.runs)
        ports[program_of(model_.tests[run])].insert(group.port);
    }
    if (ports.empty()) return;
    report_step step;
    step.what = "Keep tests apart that bind the same number";
    for (const auto& [program, numbers] : ports) {
      std::string line = "tidewait_discover_tests(" + program + " FIXED_PORTS";
      for (const std::uint16_t port : numbers) line += ' ' + std::to_string(port);
      step.paste.push_back(line + ')');
    }
    if (out_.serial != 0)
      step.why = estimate(out_.locked) + ", instead of " + seconds(out_.serial) + " without -j";
    out_.steps.push_back(std::move(step));
  }

  void free_ports() {
    constexpr std::size_t most_tried = 12;
    std::vector<std::pair<report_time, std::size_t>> gains;
    for (std::size_t i = 0; i < summary_.groups.size() && i < most_tried; ++i)
      gains.emplace_back(
          out_.locked - length_of(units_, summary_.groups.size(), out_.jobs, i, true), i);
    std::stable_sort(gains.begin(), gains.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    if (gains.size() > 1 && matters(out_.locked - out_.free)) add_all_isolated();
    for (const auto& [gain, i] : gains) add_leases(gain, summary_.groups[i]);
  }

  void add_all_isolated() {
    std::set<std::string> programs;
    for (const port_group& group : summary_.groups) {
      for (const std::size_t run : group.runs) programs.insert(program_of(model_.tests[run]));
    }
    report_step step;
    step.what = "Or give each of these tests a network of its own, where nothing can collide";
    for (const std::string& each : programs)
      step.paste.push_back("tidewait_discover_tests(" + each + " ISOLATE)");
    step.why = estimate(out_.free) + ", " + seconds(out_.locked - out_.free) + " less";
    out_.steps.push_back(std::move(step));
  }

  void add_leases(report_time gain, const port_group& group) {
    report_step step;
    step.what = "Lease a port instead of binding " + std::to_string(group.port) + '/' +
                std::string{to_string(group.protocol)} + " in ";
    std::vector<std::string> tests;
    for (const text_id each : group.tests) tests.push_back(in_.texts[each]);
    step.what += list_of(tests);
    step.paste = {"const tidewait::port_lease port = tidewait::lease_port();",
                  "server.listen(port.number());"};
    for (const std::string& each : places_of(group)) step.paste.push_back("// now at " + each);
    if (matters(gain)) {
      step.why = estimate(out_.locked - gain) + ", " + seconds(gain) + " less";
    } else if (group.failed + group.overlapped == 0) {
      step.why = "nothing collided in this run";
    }
    out_.steps.push_back(std::move(step));
  }

  /// Where in the code the number is bound.
  std::set<std::string> places_of(const port_group& group) const {
    constexpr std::size_t most = 4;
    std::set<std::string> places;
    for (const port_span& span : model_.spans) {
      if (span.port != group.port || span.protocol != group.protocol || places.size() >= most)
        continue;
      const std::string& place = in_.texts[in_.records[span.record].place];
      if (!place.empty()) places.insert(place);
    }
    return places;
  }

  const journal_records& in_;
  const report_model& model_;
  const report_summary& summary_;
  std::vector<unit> units_;
  report_advice out_;
};

}  // namespace

report_advice advise(const journal_records& records, const report_model& model,
                     const report_summary& summary, std::size_t jobs) {
  return adviser{records, model, summary}.make(jobs);
}

}  // namespace tidewait::command
