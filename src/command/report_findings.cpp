// SPDX-License-Identifier: BSL-1.0
#include "report_findings.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include <tidewait/detail/text.hpp>
#include <tidewait/endpoint.hpp>

#include "testimony.hpp"

namespace tidewait::command {

std::string_view to_string(finding_kind kind) noexcept {
  switch (kind) {
    case finding_kind::collision: return "collision";
    case finding_kind::shared: return "shared";
    case finding_kind::bind_failed: return "bind_failed";
    case finding_kind::left_behind: return "left_behind";
    case finding_kind::time_wait: return "time_wait";
    case finding_kind::wildcard: return "wildcard";
    case finding_kind::unended: break;
  }
  return "unended";
}

report_cell report_cell::of(std::size_t count) {
  report_cell cell{std::to_string(count)};
  cell.number = static_cast<double>(count);
  cell.is_number = true;
  return cell;
}

report_cell report_cell::seconds(report_time duration) {
  report_cell cell{detail::to_text(std::chrono::milliseconds{duration / 1000})};
  cell.number = static_cast<double>(duration) / 1e6;
  cell.is_number = true;
  return cell;
}

std::string place_of(const journal_records& records, record_protocol protocol, text_id address,
                     std::uint16_t port) {
  if (protocol == record_protocol::local)
    return address == 0 ? "a Unix socket" : records.texts[address];
  const std::string& text = records.texts.raw(address);
  const bool is_v6 = text.find(':') != std::string::npos;
  return (is_v6 ? '[' + text + ']' : text) + ':' + std::to_string(port) + '/' +
         std::string{to_string(protocol)};
}

std::string errno_name(int error) {
  return error_name(std::error_code{error, std::generic_category()});
}

time_wait_judgement judge_time_waits(const port_span& span) {
  if (span.time_wait_reported) return {true, true, "the test has failed for it"};
  if (span.origin == port_origin::chosen) return {false, true, "the kernel chose the number"};
  if (!span.bind_seen)
    return {false, false, "no bind of it was recorded: not known whether it blocks"};
  if (span.reuse_address) return {false, true, "its bind sets SO_REUSEADDR"};
  return {true, true, "its bind did not set SO_REUSEADDR"};
}

namespace {

class summary_maker {
 public:
  summary_maker(const journal_records& records, const report_model& model)
      : in_{records}, model_{model} {}

  report_summary make() {
    count_isolated();
    find_groups();
    find_shared();
    list_failures();
    list_left();
    list_time_waits();
    list_wildcards();
    list_unended();
    list_ephemeral();
    list_shutdowns();
    list_leases();
    std::stable_sort(
        out_.findings.begin(), out_.findings.end(),
        [](const report_finding& a, const report_finding& b) { return a.kind < b.kind; });
    return std::move(out_);
  }

 private:
  const std::string& text(text_id id) const { return in_.texts[id]; }
  const journal_record& record(std::size_t index) const { return in_.records[index]; }
  const test_run& test_of(const port_span& span) const { return model_.tests[span.test]; }
  const std::string& name_of(const port_span& span) const { return text(test_of(span).name); }
  std::string place_of_span(const port_span& span) const {
    return place_of(in_, span.protocol, span.address, span.port);
  }
  /// Where the code is, as far as the record has it.
  const std::string& code_of(const port_span& span) const {
    return text(record(span.record).place);
  }

  void add(finding_kind kind, std::string key, std::string test, std::string what, bool blocking) {
    out_.findings.push_back({kind, std::string{to_string(kind)} + '|' + std::move(key),
                             std::move(test), std::move(what), blocking});
  }
  void add_table(report_table table) {
    if (!table.rows.empty()) out_.tables.push_back(std::move(table));
  }

  /// A network namespace that one test has for itself, beside others: nothing in it can collide.
  void count_isolated() {
    std::map<std::pair<std::size_t, text_id>, std::set<text_id>> tests;
    std::map<std::size_t, std::set<text_id>> namespaces;
    const port_span* last = nullptr;
    for (const port_span& span : model_.spans) {
      const test_run& test = test_of(span);
      const bool same = last != nullptr && last->test == span.test && last->net == span.net;
      last = &span;
      if (same) continue;
      auto& names = tests[{span.machine, span.net}];
      if (names.size() < 2) names.insert(test.ctest != 0 ? test.ctest : test.name);
      if (span.net != 0) namespaces[span.machine].insert(span.net);
    }
    for (const auto& [key, names] : tests) {
      if (names.size() == 1 && key.second != 0 && namespaces[key.first].size() > 1)
        isolated_.insert(key);
    }
  }
  bool is_isolated(const port_span& span) const {
    return isolated_.count({span.machine, span.net}) != 0;
  }

  /// How often two processes had the port at once. `spans` are of one port.
  std::size_t overlaps(std::vector<std::size_t>& spans) const {
    std::sort(spans.begin(), spans.end(), [&](std::size_t a, std::size_t b) {
      return model_.spans[a].begin < model_.spans[b].begin;
    });
    std::size_t count = 0;
    std::vector<std::size_t> open;
    for (const std::size_t i : spans) {
      const port_span& span = model_.spans[i];
      open.erase(std::remove_if(open.begin(), open.end(),
                                [&](std::size_t j) { return model_.spans[j].end <= span.begin; }),
                 open.end());
      for (const std::size_t j : open) count += meet_at_once(span, model_.spans[j]) ? 1U : 0U;
      constexpr std::size_t most_open = 64;
      if (open.size() < most_open) open.push_back(i);
    }
    return count;
  }
  bool meet_at_once(const port_span& a, const port_span& b) const {
    return a.machine == b.machine && a.net == b.net && test_of(a).process != test_of(b).process &&
           test_of(a).name != test_of(b).name &&
           addresses_meet(in_.texts.raw(a.address), in_.texts.raw(b.address));
  }

  void find_groups() {
    std::map<std::pair<int, std::uint16_t>, std::vector<std::size_t>> by_port;
    for (std::size_t i = 0; i < model_.spans.size(); ++i) {
      const port_span& span = model_.spans[i];
      if (span.origin == port_origin::fixed && span.port != 0)
        by_port[{static_cast<int>(span.protocol), span.port}].push_back(i);
    }
    std::map<std::pair<int, std::uint16_t>, std::map<text_id, std::size_t>> failed;
    std::map<std::pair<int, std::uint16_t>, std::size_t> failures;
    for (const failed_bind_seen& each : model_.failures) {
      const journal_record& of = record(each.record);
      const bool alone = isolated_.count({of.machine, of.net}) != 0;
      if (of.error != EADDRINUSE || of.port == 0 || alone) continue;
      const auto key = std::pair{static_cast<int>(of.protocol), of.port};
      failures[key] += each.count;
      failed[key].emplace(model_.tests[each.test].name, each.test);
      by_port[key];
    }
    report_table table{"collisions",
                       "One number, several tests",
                       "These tests bind the same port number: they collide as soon as two of them "
                       "run at once, as under ctest -j.",
                       {{"port", "port"},
                        {"tests", "tests"},
                        {"failed", "binds failed"},
                        {"at_once", "at once"},
                        {"who", "who"}},
                       {}};
    for (auto& [key, spans] : by_port) {
      std::map<text_id, std::size_t> tests = failed[key];
      std::set<text_id> isolated;
      for (const std::size_t i : spans) {
        const port_span& span = model_.spans[i];
        const test_run& test = test_of(span);
        is_isolated(span) ? void(isolated.insert(test.name))
                          : void(tests.emplace(test.name, span.test));
      }
      if (tests.size() < 2) continue;
      port_group group;
      group.protocol = static_cast<record_protocol>(key.first);
      group.port = key.second;
      for (const auto& [name, run] : tests) {
        group.tests.push_back(name);
        group.runs.push_back(run);
      }
      group.isolated = isolated.size();
      group.failed = failures[key];
      group.overlapped = overlaps(spans);
      out_.groups.push_back(std::move(group));
    }
    std::stable_sort(out_.groups.begin(), out_.groups.end(),
                     [](const port_group& a, const port_group& b) {
                       return std::tuple{a.failed + a.overlapped, a.tests.size()} >
                              std::tuple{b.failed + b.overlapped, b.tests.size()};
                     });
    for (const port_group& group : out_.groups) {
      const std::string port =
          std::to_string(group.port) + '/' + std::string{to_string(group.protocol)};
      std::string who = names(group.tests);
      if (group.isolated != 0) {
        who += "; " + std::to_string(group.isolated) + " more in a network namespace of their own";
      }
      table.rows.push_back({port, report_cell::of(group.tests.size()),
                            report_cell::of(group.failed), report_cell::of(group.overlapped), who});
      add(finding_kind::collision, port, text(group.tests.front()),
          detail::counted(group.tests.size(), "test") + " bind " + port + ": " + names(group.tests),
          group.failed != 0);
    }
    add_table(std::move(table));
  }

  /// "a, b and 3 more"
  std::string names(const std::vector<text_id>& tests) const {
    constexpr std::size_t most = 3;
    std::string all;
    for (std::size_t i = 0; i < tests.size() && i < most; ++i) {
      if (i != 0) all += i + 1 == tests.size() ? " and " : ", ";
      all += text(tests[i]);
    }
    if (tests.size() > most) all += " and " + std::to_string(tests.size() - most) + " more";
    return all;
  }

  void find_shared() {
    std::map<std::tuple<std::size_t, text_id, int, std::uint16_t>, std::vector<std::size_t>>
        by_port;
    for (std::size_t i = 0; i < model_.spans.size(); ++i) {
      const port_span& span = model_.spans[i];
      if (span.reuse_port && span.port != 0)
        by_port[{span.machine, span.net, static_cast<int>(span.protocol), span.port}].push_back(i);
    }
    std::map<std::tuple<std::string, std::string, std::string>, std::size_t> pairs;
    for (auto& [key, spans] : by_port) {
      std::sort(spans.begin(), spans.end(), [&](std::size_t a, std::size_t b) {
        return model_.spans[a].begin < model_.spans[b].begin;
      });
      std::vector<std::size_t> open;
      for (const std::size_t i : spans) {
        const port_span& span = model_.spans[i];
        open.erase(std::remove_if(open.begin(), open.end(),
                                  [&](std::size_t j) { return model_.spans[j].end <= span.begin; }),
                   open.end());
        for (const std::size_t j : open) {
          if (!meet_at_once(span, model_.spans[j])) continue;
          std::string a = name_of(model_.spans[j]);
          std::string b = name_of(span);
          if (b < a) std::swap(a, b);
          ++pairs[{place_of_span(span), std::move(a), std::move(b)}];
          out_.shared_spans.insert({i, j});
        }
        constexpr std::size_t most_open = 64;
        if (open.size() < most_open) open.push_back(i);
      }
    }
    report_table table{
        "shared",
        "Shared silently",
        "Both set SO_REUSEPORT, so no bind failed, and the kernel spread the clients "
        "over both servers: a test may have talked to the wrong one.",
        {{"port", "port"}, {"test", "test"}, {"other", "other"}, {"times", "times"}},
        {}};
    for (const auto& [key, times] : pairs) {
      const auto& [port, a, b] = key;
      table.rows.push_back({port, a, b, report_cell::of(times)});
      add(finding_kind::shared, port + '|' + a + '|' + b, a,
          a + " and " + b + " listened on " + port + " at once, through SO_REUSEPORT", false);
    }
    add_table(std::move(table));
  }

  void list_failures() {
    struct group {
      std::size_t count = 0;
      const failed_bind_seen* last = nullptr;
    };
    std::map<std::tuple<std::string, std::string, int, std::string>, group> groups;
    for (const failed_bind_seen& each : model_.failures) {
      const journal_record& of = record(each.record);
      const std::string holder =
          each.held_by != 0 || of.error == EADDRINUSE ? holder_of(each, in_, model_) : "";
      auto& in = groups[{text(model_.tests[each.test].name),
                         place_of(in_, of.protocol, of.address, of.port), of.error, holder}];
      in.count += each.count;
      in.last = &each;
    }
    report_table table{"failed_binds",
                       "Failed binds",
                       "",
                       {{"test", "test"},
                        {"port", "port"},
                        {"error", "error"},
                        {"times", "times"},
                        {"held_by", "held by"},
                        {"place", "at"}},
                       {}};
    for (const auto& [key, group] : groups) {
      const auto& [test, port, error, holder] = key;
      const std::string& code = text(record(group.last->record).place);
      table.rows.push_back({test, port, errno_name(error), report_cell::of(group.count),
                            holder.empty() ? "not known" : holder, code});
      add(finding_kind::bind_failed, test + '|' + port + '|' + errno_name(error), test,
          test + ": bind to " + port + " failed with " + errno_name(error) +
              (holder.empty() ? "" : ", held by " + holder) + (code.empty() ? "" : ", at " + code),
          true);
    }
    add_table(std::move(table));
  }

  /// The port without the number that the kernel chose, which differs from run to run.
  std::string stable_place(const port_span& span) const {
    if (span.origin == port_origin::fixed || span.protocol == record_protocol::local)
      return place_of_span(span);
    return span.origin == port_origin::leased ? "a leased port" : "an ephemeral port";
  }

  void list_left() {
    struct group {
      std::size_t count = 0;
      bool reported = false;
      const port_span* first = nullptr;
    };
    std::map<std::tuple<std::string, std::string, std::string>, group> groups;
    for (const port_span& span : model_.spans) {
      if (!span.left) continue;
      const std::string state =
          span.left_state == no_state ? "stale file" : std::string{to_string(span.left_state)};
      auto& in = groups[{name_of(span), stable_place(span), state}];
      ++in.count;
      in.reported = in.reported || span.reported;
      if (in.first == nullptr) in.first = &span;
    }
    report_table table{
        "left_behind",
        "Left behind",
        "Open sockets and stale socket files that were there when their test had ended.",
        {{"test", "test"},
         {"state", "state"},
         {"port", "port"},
         {"sockets", "sockets"},
         {"failed", "test failed"},
         {"place", "at"}},
        {}};
    for (const auto& [key, group] : groups) {
      const auto& [test, place, state] = key;
      table.rows.push_back({test, state, group.count == 1 ? place_of_span(*group.first) : place,
                            report_cell::of(group.count), group.reported ? "yes" : "no",
                            code_of(*group.first)});
      add(finding_kind::left_behind, test + '|' + place + '|' + state, test,
          test + " left " +
              (group.first->left_state == no_state
                   ? "the stale socket file "
                   : detail::counted(group.count, "socket") + " in " + state + " on ") +
              place,
          true);
    }
    add_table(std::move(table));
  }

  void list_time_waits() {
    struct group {
      std::size_t count = 0;
      bool known = true;
    };
    std::map<std::tuple<bool, std::string, std::string, std::string>, group> groups;
    for (const port_span& span : model_.spans) {
      if (span.time_waits == 0) continue;
      const time_wait_judgement judged = judge_time_waits(span);
      auto& in = groups[{!judged.blocks, name_of(span), stable_place(span), judged.why}];
      in.known = judged.known;
      in.count += span.time_waits;
    }
    report_table table{"time_waits",
                       "TIME_WAIT",
                       "The server's side closed first. For a minute a bind without SO_REUSEADDR "
                       "to the port fails.",
                       {{"test", "test"},
                        {"port", "port"},
                        {"count", "count"},
                        {"blocks", "blocks"},
                        {"why", "why"}},
                       {}};
    for (const auto& [key, group] : groups) {
      const auto& [harmless, test, place, why] = key;
      table.rows.push_back({test, place, report_cell::of(group.count),
                            !group.known ? "?"
                            : harmless   ? "no"
                                         : "yes",
                            why});
      if (!harmless) {
        add(finding_kind::time_wait, test + '|' + place, test,
            test + " left " + std::to_string(group.count) + " TIME_WAIT on " + place + ": " + why,
            true);
      }
    }
    add_table(std::move(table));
  }

  bool is_wildcard(text_id address) {
    const auto [found, is_new] = wildcards_.emplace(address, false);
    if (is_new) {
      const auto parsed = parse_address(in_.texts.raw(address));
      found->second = parsed && parsed->is_wildcard();
    }
    return found->second;
  }

  void list_wildcards() {
    std::map<std::tuple<std::string, std::string>, std::pair<std::size_t, const port_span*>> groups;
    for (const port_span& span : model_.spans) {
      if (!span.listening || !is_wildcard(span.address)) continue;
      const std::string& address = in_.texts.raw(span.address);
      auto& in = groups[{name_of(span), address.front() == ':' ? '[' + address + ']' : address}];
      ++in.first;
      if (in.second == nullptr) in.second = &span;
    }
    report_table table{
        "wildcards",
        "Open to the network",
        "These tests listen on every address of the machine. Bind to the loopback "
        "address unless other machines are to connect.",
        {{"test", "test"}, {"address", "address"}, {"listeners", "listeners"}, {"place", "at"}},
        {}};
    for (const auto& [key, group] : groups) {
      const auto& [test, address] = key;
      table.rows.push_back({test, address, report_cell::of(group.first), code_of(*group.second)});
      add(finding_kind::wildcard, test + '|' + address, test, test + " listens on " + address,
          false);
    }
    add_table(std::move(table));
  }

  void list_unended() {
    report_table table{"unended",
                       "Never ended",
                       "These tests began, and no line says that they ended: the program was "
                       "killed, or crashed, or is still running.",
                       {{"test", "test"}, {"pid", "pid"}},
                       {}};
    for (const test_run& each : model_.tests) {
      if (!each.unended || each.container) continue;
      table.rows.push_back({text(each.name), report_cell::of(static_cast<std::size_t>(
                                                 model_.processes[each.process].pid))});
      add(finding_kind::unended, text(each.name), text(each.name),
          text(each.name) + " began and never ended", false);
    }
    add_table(std::move(table));
  }

  void list_ephemeral() {
    std::vector<std::size_t> of_runs(model_.tests.size());
    for (const port_span& span : model_.spans)
      of_runs[span.test] += span.origin == port_origin::chosen ? 1U : 0U;
    std::map<text_id, std::size_t> counts;
    for (std::size_t i = 0; i < of_runs.size(); ++i) {
      if (of_runs[i] != 0) counts[model_.tests[i].name] += of_runs[i];
    }
    report_table table{
        "ephemeral", "Ports that the kernel chose", "", {{"test", "test"}, {"ports", "ports"}}, {}};
    for (const auto& [test, count] : sorted(counts))
      table.rows.push_back({text(test), report_cell::of(count)});
    add_table(std::move(table));
  }

  void list_shutdowns() {
    std::map<text_id, std::size_t> longest;
    for (const test_run& each : model_.tests) {
      if (each.waited != 0 && !each.container)
        longest[each.name] = std::max<std::size_t>(longest[each.name], each.waited);
    }
    report_table table{"shutdowns",
                       "Slowest shutdowns",
                       "How long the look waited after the test for servers and connections that "
                       "were just ending.",
                       {{"test", "test"}, {"waited", "waited"}},
                       {}};
    for (const auto& [test, ms] : sorted(longest)) {
      table.rows.push_back({text(test), report_cell::seconds(static_cast<report_time>(ms) * 1000)});
    }
    add_table(std::move(table));
  }

  void list_leases() {
    std::map<text_id, std::size_t> counts;
    for (const std::size_t test : model_.lease_tests) ++counts[model_.tests[test].name];
    report_table table{"leases", "Leased ports", "", {{"test", "test"}, {"ports", "ports"}}, {}};
    for (const auto& [test, count] : sorted(counts))
      table.rows.push_back({text(test), report_cell::of(count)});
    add_table(std::move(table));
  }

  /// The largest first.
  static std::vector<std::pair<text_id, std::size_t>> sorted(
      const std::map<text_id, std::size_t>& counts) {
    std::vector<std::pair<text_id, std::size_t>> all{counts.begin(), counts.end()};
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    return all;
  }

  const journal_records& in_;
  const report_model& model_;
  std::set<std::pair<std::size_t, text_id>> isolated_;
  std::map<text_id, bool> wildcards_;
  report_summary out_;
};

}  // namespace

report_summary summarise(const journal_records& records, const report_model& model) {
  return summary_maker{records, model}.make();
}

}  // namespace tidewait::command
