// SPDX-License-Identifier: BSL-1.0
#include "report_model.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <tidewait/bind.hpp>
#include <tidewait/detail/test_name.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait::command {

bool addresses_meet(const std::string& a, const std::string& b) {
  const auto x = parse_address(a);
  const auto y = parse_address(b);
  if (!x || !y) return a == b;
  return overlap({*x, 1}, ipv6_only::no, {*y, 1}, ipv6_only::no);
}

std::string holder_of(const failed_bind_seen& failed, const journal_records& records,
                      const report_model& model) {
  if (failed.held_by != 0) return records.texts[failed.held_by];
  if (failed.holder >= model.spans.size()) return {};
  const std::string& test = records.texts[model.tests[model.spans[failed.holder].test].name];
  return failed.time_wait ? "a TIME_WAIT (test " + test + ')' : test;
}

namespace {

constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

struct hash_of_numbers {
  template <typename... Numbers>
  std::size_t operator()(const std::tuple<Numbers...>& key) const noexcept {
    return std::apply(
        [](const auto&... each) {
          std::uint64_t hash = 14695981039346656037U;
          ((hash = (hash ^ static_cast<std::uint64_t>(each)) * 1099511628211U), ...);
          return static_cast<std::size_t>(hash ^ hash >> 29U);
        },
        key);
  }
};

/// The tests of a process that have begun and not ended.
struct running_tests {
  std::unordered_map<text_id, std::vector<std::size_t>> by_name;  // the innermost last
  std::size_t latest = none;  // unless it has ended; those that began before it are containers

  std::size_t innermost(text_id name) const {
    const auto found = by_name.find(name);
    return found == by_name.end() ? none : found->second.back();
  }
  void leave(std::size_t test, text_id name) {
    const auto found = by_name.find(name);
    found->second.pop_back();
    if (found->second.empty()) by_name.erase(found);
    if (latest == test) latest = none;
  }
};

class model_maker {
 public:
  explicit model_maker(journal_records& records) : in_{records} {}

  report_model make() {
    find_boots();
    place_in_time();
    for (const std::size_t each : order_) take(each);
    close_what_is_open();
    merge_failures();
    find_holders();
    find_time_waits_that_blocked();
    add_caveats();
    return std::move(out_);
  }

 private:
  const journal_record& record(std::size_t index) const { return in_.records[index]; }

  /// A line without a boot id is of the machine on which its process ran, if that is known.
  void find_boots() {
    std::unordered_map<text_id, std::pair<text_id, text_id>> of_run;
    for (const journal_record& each : in_.records) {
      if (each.boot != 0 && each.run != 0) of_run.try_emplace(each.run, each.boot, each.host);
    }
    for (journal_record& each : in_.records) {
      const auto known = each.boot == 0 ? of_run.find(each.run) : of_run.end();
      if (known != of_run.end()) std::tie(each.boot, each.host) = known->second;
    }
  }

  /// Gives each record its time, and finds the order of all.
  void place_in_time() {
    std::unordered_map<text_id, std::size_t> machine_of_boot;
    std::vector<std::pair<report_time, report_time>> offsets;  // smallest and largest per machine
    std::vector<report_time> last_offset;
    std::vector<report_time> last_uptime;
    for (std::size_t i = 0; i < in_.records.size(); ++i) {
      journal_record& each = in_.records[i];
      const auto [found, is_new] = machine_of_boot.try_emplace(each.boot, out_.machines.size());
      if (is_new) {
        report_machine fresh;
        fresh.host = each.host;
        fresh.boot = each.boot;
        fresh.first = fresh.last = each.time;
        out_.machines.push_back(fresh);
        offsets.emplace_back(std::numeric_limits<report_time>::max(),
                             std::numeric_limits<report_time>::min());
        last_offset.push_back(0);
        last_uptime.push_back(-1);
      }
      const std::size_t machine = each.machine = static_cast<std::uint32_t>(found->second);
      if (each.kind == record_kind::test_begin && each.port != 0)
        out_.machines[machine].ephemeral = {each.port, each.error};
      if (each.uptime == 0) continue;
      const report_time offset = each.time - each.uptime;
      offsets[machine].first = std::min(offsets[machine].first, offset);
      offsets[machine].second = std::max(offsets[machine].second, offset);
      if (each.uptime > last_uptime[machine]) {
        last_uptime[machine] = each.uptime;
        last_offset[machine] = offset;
      }
    }
    order_.resize(in_.records.size());
    for (std::size_t i = 0; i < in_.records.size(); ++i) {
      journal_record& each = in_.records[i];
      const std::size_t machine = each.machine;
      // The wall clock has milliseconds; the uptime tells what came first within one.
      if (each.uptime != 0) each.time = each.uptime + last_offset[machine];
      out_.machines[machine].first = std::min(out_.machines[machine].first, each.time);
      out_.machines[machine].last = std::max(out_.machines[machine].last, each.time);
      order_[i] = static_cast<std::uint32_t>(i);
    }
    for (std::size_t i = 0; i < out_.machines.size(); ++i) {
      constexpr report_time one_second = 1000000;
      const report_time moved = offsets[i].second - offsets[i].first;
      if (last_uptime[i] >= 0 && moved > one_second) out_.machines[i].clock_was_set = moved;
    }
    const auto earlier = [&](std::size_t a, std::size_t b) {
      return record(a).time < record(b).time;
    };
    if (!std::is_sorted(order_.begin(), order_.end(), earlier))
      std::stable_sort(order_.begin(), order_.end(), earlier);
  }

  /// As a conflict names it.
  text_id name_of(const journal_record& of) {
    const auto [found, is_new] = names_.try_emplace(std::tuple{of.test, of.ctest}, text_id{0});
    if (!is_new) return found->second;
    std::string name = detail::full_test_name(in_.texts[of.test], in_.texts[of.ctest]);
    if (name.empty()) name = "(no test)";
    return found->second = in_.texts.intern(name);
  }

  std::size_t process_of(std::size_t index) {
    const journal_record& of = record(index);
    const auto key = std::tuple{record(index).machine, of.run, of.pid};
    const auto [found, is_new] = processes_.try_emplace(key, out_.processes.size());
    if (is_new) {
      out_.processes.push_back(
          {record(index).machine, of.run, of.pid, 0, 0, record(index).time, record(index).time});
      running_.emplace_back();
    }
    report_process& process = out_.processes[found->second];
    if (of.program != 0) process.program = of.program;
    if (of.kind == record_kind::test_begin && of.command != 0) process.launched = of.command;
    process.last = std::max(process.last, record(index).time);
    return found->second;
  }

  /// The run of the test that a record names. Where no line says that it began, it is from its
  /// first line to its last.
  std::size_t test_of(std::size_t index, std::size_t process) {
    const journal_record& of = record(index);
    const text_id name = name_of(of);
    if (const std::size_t inner = running_[process].innermost(name); inner != none) {
      const std::size_t latest = by_name_[{of.machine, name}];
      return out_.tests[inner].container && out_.tests[latest].unended ? latest : inner;
    }
    // A launcher, a server: other processes of the same test.
    const auto key = std::tuple{record(index).machine, name};
    const auto found = by_name_.find(key);
    if (found != by_name_.end()) {
      test_run& test = out_.tests[found->second];
      constexpr report_time late = 2000000;
      const bool open = test.unended || !test.measured || record(index).time < test.end + late;
      if (open && !test.measured && !test.unended)
        test.end = std::max(test.end, record(index).time);
      if (open) return found->second;
    }
    test_run test;
    test.name = name;
    test.ctest = of.ctest;
    test.process = process;
    test.begin = test.end = record(index).time;
    by_name_[key] = out_.tests.size();
    out_.tests.push_back(test);
    return out_.tests.size() - 1;
  }

  /// The run of a test that begins now, if a bind of it came first; otherwise none. The journal has
  /// the time of a bind to a millisecond only, so that it may lie just before the test's begin.
  std::size_t begun_early(std::size_t index, text_id name, std::size_t process) {
    constexpr report_time rounding = 2000;
    const auto found = by_name_.find({record(index).machine, name});
    if (found == by_name_.end()) return none;
    const test_run& test = out_.tests[found->second];
    const bool early = test.process == process && !test.measured && !test.unended &&
                       record(index).time - test.begin <= rounding;
    return early ? found->second : none;
  }

  /// Begins a test inside those of its process that have not ended.
  void enter(std::size_t test, text_id name, std::size_t process) {
    running_tests& running = running_[process];
    if (running.latest != none) out_.tests[running.latest].container = true;
    running.latest = test;
    running.by_name[name].push_back(test);
  }

  void begin_test(std::size_t index, std::size_t process) {
    const text_id name = name_of(record(index));
    if (const std::size_t early = begun_early(index, name, process); early != none) {
      out_.tests[early].unended = true;
      enter(early, name, process);
      return;
    }
    test_run test;
    test.name = name;
    test.ctest = record(index).ctest;
    test.process = process;
    test.begin = test.end = record(index).time;
    test.unended = true;
    // A launcher began the same test before, or all that CTest runs as one.
    for (const text_id each : {test.name, test.ctest}) {
      const auto around = by_name_.find({record(index).machine, each});
      if (around != by_name_.end() && out_.tests[around->second].unended)
        out_.tests[around->second].container = true;
    }
    enter(out_.tests.size(), test.name, process);
    by_name_[{record(index).machine, test.name}] = out_.tests.size();
    out_.tests.push_back(test);
  }

  void end_test(std::size_t index, std::size_t process) {
    const text_id name = name_of(record(index));
    const std::size_t running = running_[process].innermost(name);
    // Its begin may be in a part of the journal that is not there any more.
    const std::size_t number = running == none ? test_of(index, process) : running;
    test_run& test = out_.tests[number];
    test.end = record(index).time;
    test.measured = running != none;
    test.unended = false;
    test.failed = test.failed || record(index).has(record_flag::failed);
    test.waited = std::max(test.waited, record(index).count);
    if (test.measured) running_[process].leave(running, name);
    if (number >= open_.size()) return;
    for (const std::size_t span : std::exchange(open_[number], {})) {
      port_span& each = out_.spans[span];
      if (each.left) {
        each.end = std::max(each.end, record(index).time);
      } else if (each.begin <= record(index).time) {
        each.end = record(index).time;
        each.end_known = true;
        const journal_record& first = record(each.record);
        by_cookie_.erase({first.machine, first.net, first.cookie});
      }
    }
  }

  port_origin origin_of(const journal_record& of, std::size_t test) const {
    if (of.has(record_flag::leased) ||
        leased_.count({test, static_cast<int>(of.protocol), of.port}) != 0)
      return port_origin::leased;
    if (of.kind == record_kind::bound)
      return of.has(record_flag::kernel_chose_port) ? port_origin::chosen : port_origin::fixed;
    const bool may_be_chosen = out_.machines[of.machine].ephemeral.contains(of.port);
    return may_be_chosen ? port_origin::unknown : port_origin::fixed;
  }

  std::size_t new_span(std::size_t index, std::size_t test) {
    const journal_record& of = record(index);
    port_span span;
    span.protocol = of.protocol;
    span.port = of.port;
    span.address = of.address;
    span.test = test;
    span.record = index;
    span.machine = record(index).machine;
    span.net = of.net;
    span.origin =
        of.protocol == record_protocol::local ? port_origin::unknown : origin_of(of, test);
    span.begin = span.end = record(index).time;
    out_.spans.push_back(span);
    if (open_.size() <= test) open_.resize(out_.tests.size());
    open_[test].push_back(out_.spans.size() - 1);
    return out_.spans.size() - 1;
  }

  /// The span of the socket that a record is about.
  std::size_t span_of(std::size_t index, std::size_t test) {
    const journal_record& of = record(index);
    if (of.cookie == 0) return new_span(index, test);
    const auto key = std::tuple{record(index).machine, of.net, of.cookie};
    const auto found = by_cookie_.find(key);
    // Another socket of a boot that is not known may have the same.
    if (found != by_cookie_.end() && out_.spans[found->second].port == of.port &&
        out_.spans[found->second].protocol == of.protocol) {
      return found->second;
    }
    return by_cookie_[key] = new_span(index, test);
  }

  void take_socket(std::size_t index, std::size_t test) {
    const journal_record& of = record(index);
    if (of.kind == record_kind::left_behind && of.state == socket_state::time_wait) {
      take_time_wait(index, test);
      return;
    }
    const std::size_t number = span_of(index, test);
    port_span& span = out_.spans[number];
    // What is inside the test says more precisely whose it is than what is around it.
    if (out_.tests[span.test].container && !out_.tests[test].container) span.test = test;
    span.end = std::max(span.end, record(index).time);
    if (of.kind == record_kind::bound) {
      // Of the two witnesses of one bind that which knows the code.
      if (record(span.record).place == 0 && of.place != 0) span.record = index;
      span.bind_seen = true;
      span.reuse_address = of.has(record_flag::reuse_address);
      span.reuse_port = of.has(record_flag::reuse_port);
      span.listening = span.listening || of.has(record_flag::listening);
      if (span.origin != port_origin::leased) span.origin = origin_of(of, test);
    } else if (of.kind == record_kind::listening) {
      span.listening = true;
    } else {
      span.left = true;
      span.left_state = of.state;
      span.reported = span.reported || of.has(record_flag::reported);
      span.listening = span.listening || of.state == socket_state::listen;
    }
    last_on_port_[{of.machine, of.net, static_cast<int>(of.protocol), of.port}] = number;
  }

  /// A TIME_WAIT has the cookie of a connection: it belongs to who was last on the port.
  void take_time_wait(std::size_t index, std::size_t test) {
    const journal_record& of = record(index);
    // The test and its launcher have both seen it.
    const auto [known, is_new] =
        time_waits_.try_emplace(std::tuple{of.machine, of.net, of.cookie, of.port}, none);
    if (!is_new && of.cookie != 0) {
      port_span& span = out_.spans[known->second];
      span.time_wait_reported = span.time_wait_reported || of.has(record_flag::reported);
      return;
    }
    const auto found =
        last_on_port_.find({record(index).machine, of.net, static_cast<int>(of.protocol), of.port});
    const bool same = found != last_on_port_.end() &&
                      out_.tests[out_.spans[found->second].test].name == out_.tests[test].name;
    const std::size_t number = same ? found->second : new_span(index, test);
    known->second = number;
    port_span& span = out_.spans[number];
    if (!same) {
      span.end_known = true;
      last_on_port_[{record(index).machine, of.net, static_cast<int>(of.protocol), of.port}] =
          number;
    }
    if (span.time_wait == 0) span.time_wait = record(index).time;
    ++span.time_waits;
    span.time_wait_reported = span.time_wait_reported || of.has(record_flag::reported);
  }

  void take(std::size_t index) {
    const journal_record& of = record(index);
    const std::size_t process = process_of(index);
    if (of.kind == record_kind::test_begin) return begin_test(index, process);
    if (of.kind == record_kind::test_end) return end_test(index, process);
    const std::size_t test = test_of(index, process);
    if (of.kind == record_kind::leased) {
      leased_.insert({{test, static_cast<int>(of.protocol), of.port}, true});
      out_.leases.push_back(index);
      out_.lease_tests.push_back(test);
    } else if (of.kind == record_kind::bind_failed) {
      out_.failures.push_back({index, test, record(index).time, of.count, of.held_by, false, none});
    } else {
      take_socket(index, test);
    }
  }

  void close_what_is_open() {
    for (test_run& test : out_.tests) {
      if (test.unended) test.end = std::max(test.end, out_.processes[test.process].last);
    }
    for (port_span& span : out_.spans) {
      if (span.end_known) continue;
      span.end = std::max({span.end, out_.tests[span.test].end,
                           out_.processes[out_.tests[span.test].process].last});
    }
  }

  /// A launcher sees the calls that the witness in a test program has recorded as well, and puts
  /// those that are alike in one line: what remains in it are those that the program has not seen.
  /// A socket that both have seen tells which process of the journal it was.
  void merge_failures() {
    using call = std::tuple<std::size_t, text_id, int, std::uint16_t, text_id, int>;
    using calls = std::vector<std::size_t>;
    const auto call_of = [&](std::size_t failure) {
      const journal_record& of = record(out_.failures[failure].record);
      return call{of.machine, of.net,     static_cast<int>(of.protocol),
                  of.port,    of.address, int{of.error}};
    };
    const auto process_of_call = [&](std::size_t failure) {
      return process_of(out_.failures[failure].record);
    };
    // Those that their process itself has recorded.
    std::map<std::pair<call, std::uint64_t>, calls> by_socket;
    std::map<std::pair<call, int>, calls> by_pid;
    std::map<std::pair<call, std::size_t>, std::pair<calls, std::size_t>> by_process;
    calls others;
    for (std::size_t i = 0; i < out_.failures.size(); ++i) {
      const journal_record& of = record(out_.failures[i].record);
      if (of.stack == 0 && out_.processes[process_of_call(i)].program == 0) {
        others.push_back(i);
        continue;
      }
      if (of.cookie != 0) by_socket[{call_of(i), of.cookie}].push_back(i);
      by_pid[{call_of(i), of.pid}].push_back(i);
      by_process[{call_of(i), process_of_call(i)}].first.push_back(i);
    }
    std::vector<char> absorbed(out_.failures.size());
    const auto first_of = [&](const calls& all, const failed_bind_seen& other) {
      const auto end =
          all.begin() + std::min<std::ptrdiff_t>(256, static_cast<std::ptrdiff_t>(all.size()));
      const auto found = std::find_if(all.begin(), end, [&](std::size_t each) {
        return absorbed[each] == 0 && is_one_call(out_.failures[each], other);
      });
      return found == end ? none : *found;
    };
    for (const std::size_t i : others) {
      failed_bind_seen& other = out_.failures[i];
      const journal_record& of = record(other.record);
      const std::size_t first = of.cookie != 0 ? first_of(by_socket[{call_of(i), of.cookie}], other)
                                               : first_of(by_pid[{call_of(i), of.pid}], other);
      if (first == none) continue;
      const auto absorb = [&](std::size_t each) {
        failed_bind_seen& own = out_.failures[each];
        absorbed[each] = 1;
        other.count -= std::min(other.count, own.count);
        if (own.held_by == 0) own.held_by = other.held_by;
      };
      absorb(first);
      auto& [same, next] = by_process[{call_of(first), process_of_call(first)}];
      for (; next < same.size() && other.count != 0; ++next) {
        if (absorbed[same[next]] == 0) absorb(same[next]);
      }
    }
    out_.failures.erase(
        std::remove_if(out_.failures.begin(), out_.failures.end(),
                       [](const failed_bind_seen& each) { return each.count == 0; }),
        out_.failures.end());
  }

  /// Without a socket to tell: the same pid, during the launcher's test.
  bool is_one_call(const failed_bind_seen& own, const failed_bind_seen& other) const {
    if (record(other.record).cookie != 0) return true;
    constexpr report_time slack = 2000;  // of a clock with milliseconds
    return own.time >= other.time - slack &&
           own.time <= std::max(out_.tests[other.test].end, other.time) + slack;
  }

  /// The holder's own listener is closed where its test has ended, or has itself bound again.
  void find_time_waits_that_blocked() {
    for (failed_bind_seen& each : out_.failures) {
      constexpr std::string_view named = "a TIME_WAIT";
      if (each.held_by != 0) {
        each.time_wait = in_.texts[each.held_by].compare(0, named.size(), named) == 0;
      } else if (each.holder < out_.spans.size()) {
        const port_span& holder = out_.spans[each.holder];
        const test_run& test = out_.tests[holder.test];
        each.time_wait = holder.time_waits != 0 && !holder.left &&
                         (holder.test == each.test || (!test.unended && test.end <= each.time));
      }
    }
  }

  /// Of a bind that failed: who had the port at that moment, as far as the journals know.
  void find_holders() {
    std::map<std::tuple<std::size_t, text_id, int, std::uint16_t>, std::vector<std::size_t>>
        on_port;
    const auto key_of = [&](const failed_bind_seen& each) {
      const journal_record& of = record(each.record);
      return std::tuple{std::size_t{of.machine}, of.net, static_cast<int>(of.protocol), of.port};
    };
    for (const failed_bind_seen& each : out_.failures) on_port[key_of(each)];
    if (on_port.empty()) return;
    for (std::size_t i = 0; i < out_.spans.size(); ++i) {
      const port_span& span = out_.spans[i];
      const auto found =
          on_port.find({span.machine, span.net, static_cast<int>(span.protocol), span.port});
      if (found != on_port.end()) found->second.push_back(i);
    }
    for (auto& [key, spans] : on_port) {
      std::sort(spans.begin(), spans.end(), [&](std::size_t a, std::size_t b) {
        return out_.spans[a].begin < out_.spans[b].begin;
      });
    }
    for (failed_bind_seen& each : out_.failures) {
      const auto& spans = on_port[key_of(each)];
      constexpr report_time slack = 2000;  // of a clock with milliseconds
      auto at = std::upper_bound(
          spans.begin(), spans.end(), each.time + slack,
          [&](report_time time, std::size_t i) { return time < out_.spans[i].begin; });
      // The latest that was there; long before there is none.
      constexpr std::size_t most_tried = 256;
      for (std::size_t tried = 0; at != spans.begin() && tried < most_tried; ++tried) {
        if (held(out_.spans[*--at], each, slack)) {
          each.holder = *at;
          break;
        }
      }
    }
  }

  bool held(const port_span& span, const failed_bind_seen& by, report_time slack) const {
    constexpr report_time minute = 60000000;
    const report_time until = span.time_wait != 0 ? span.time_wait + minute : span.end;
    return span.record != by.record && until >= by.time - slack &&
           addresses_meet(in_.texts.raw(span.address), in_.texts.raw(record(by.record).address));
  }

  void add_caveats() {
    for (const report_machine& each : out_.machines) {
      if (each.clock_was_set == 0) continue;
      out_.caveats.push_back("the clock of " + in_.texts[each.host] +
                             " was set during the run, by " +
                             detail::to_text(std::chrono::milliseconds{each.clock_was_set / 1000}) +
                             ": times are by its uptime, which did not jump");
    }
    std::vector<text_id> hosts;
    for (const report_machine& each : out_.machines) {
      if (each.host != 0) hosts.push_back(each.host);
    }
    std::sort(hosts.begin(), hosts.end());
    hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
    if (hosts.size() > 1) {
      out_.caveats.push_back("the lines are of " + std::to_string(hosts.size()) +
                             " machines: nothing says how far their clocks differ");
    }
    const auto old = std::count_if(in_.records.begin(), in_.records.end(),
                                   [](const journal_record& each) { return each.uptime == 0; });
    if (old != 0) {
      out_.caveats.push_back(detail::counted(static_cast<std::size_t>(old), "line") +
                             " without an uptime: in order only as far as the clock was not set");
    }
    if (in_.texts.full()) {
      out_.caveats.emplace_back(
          "the journals have more different texts than are kept: the rest are shown as ?");
    }
  }

  journal_records& in_;
  report_model out_;
  std::vector<std::uint32_t> order_;
  std::vector<running_tests> running_;  // of each process
  std::unordered_map<std::tuple<std::uint32_t, text_id, int>, std::size_t, hash_of_numbers>
      processes_;
  std::unordered_map<std::tuple<std::uint32_t, text_id>, std::size_t, hash_of_numbers> by_name_;
  std::unordered_map<std::tuple<std::uint32_t, text_id, std::uint64_t>, std::size_t,
                     hash_of_numbers>
      by_cookie_;
  std::unordered_map<std::tuple<std::uint32_t, text_id, int, std::uint16_t>, std::size_t,
                     hash_of_numbers>
      last_on_port_;
  std::unordered_map<std::tuple<std::uint32_t, text_id, std::uint64_t, std::uint16_t>, std::size_t,
                     hash_of_numbers>
      time_waits_;  // the span of each
  std::unordered_map<std::tuple<std::size_t, int, std::uint16_t>, bool, hash_of_numbers> leased_;
  std::vector<std::vector<std::size_t>> open_;  // spans of each test
  std::unordered_map<std::tuple<text_id, text_id>, text_id, hash_of_numbers> names_;
};

}  // namespace

report_model make_model(journal_records& records) { return model_maker{records}.make(); }

}  // namespace tidewait::command
