// SPDX-License-Identifier: BSL-1.0
#include "run_report.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <tidewait/detail/text.hpp>

#include "command.hpp"
#include "json.hpp"
#include "xml.hpp"

namespace tidewait::command {
namespace {

/// "left 2 processes running: redis-server, sleep", then who they are, as a tree.
std::string describe_orphans(const run_report& run) {
  const std::vector<tree_process>& orphans = run.orphans;
  std::vector<std::string> names;
  for (const tree_process& each : orphans) {
    if (std::find(names.begin(), names.end(), each.name) == names.end()) names.push_back(each.name);
  }
  constexpr std::size_t most_names = 5;
  const std::size_t unnamed = names.size() > most_names ? names.size() - most_names : 0;
  names.resize(names.size() - unnamed);
  const bool several = orphans.size() != 1;
  std::string text = "left " + std::to_string(orphans.size()) +
                     (several ? " processes" : " process") +
                     " running: " + detail::joined(names, ", ");
  if (unnamed != 0) text += " and " + std::to_string(unnamed) + " more";
  text += "\n\n";

  const auto depth = [&](const tree_process& process) {
    std::size_t steps = 0;
    for (int parent = process.parent; steps < orphans.size(); ++steps) {
      const auto found = std::find_if(orphans.begin(), orphans.end(),
                                      [&](const tree_process& each) { return each.pid == parent; });
      if (found == orphans.end()) break;
      parent = found->parent;
    }
    return steps;
  };
  detail::text_table table{{"pid", "process", "command line"}};
  constexpr std::size_t most_rows = 8;
  const std::size_t shown = orphans.size() <= most_rows ? orphans.size() : most_rows - 1;
  for (std::size_t i = 0; i < shown; ++i) {
    const tree_process& each = orphans[i];
    table.add({std::to_string(each.pid),
               std::string(2 * std::min<std::size_t>(depth(each), 8), ' ') + each.name,
               each.command.empty()
                   ? "-"
                   : detail::clipped(detail::without_directory(each.command), 60)});
  }
  text += table.render("", detail::report_width - 2);
  if (shown < orphans.size()) text += "and " + std::to_string(orphans.size() - shown) + " more\n";
  return text + "\nwhy: " + (several ? "they" : "it") + " outlived what started " +
         (several ? "them" : "it") + "; " + detail::to_text(run.waited) + " later " +
         (several ? "they were" : "it was") +
         " still there\nfix: end what the command starts, and wait for it, before the command "
         "ends\n";
}

/// The report with the orphans among its incidents, for `render`.
report with_orphans(const run_report& run) {
  report whole = run.found;
  if (!run.orphans.empty()) {
    auto& told = run.warns_only ? whole.warnings : whole.incidents;
    told.insert(told.begin(), describe_orphans(run));
  }
  return whole;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// What no process but the test itself can see.
constexpr const char* open_at_exit =
    "a listener that a process still has open when it ends: the kernel closes it then";

std::string describe_witness(const testimony& seen) {
  if (!seen.absent.empty())
    return "tidewait: binds were not witnessed: " + to_string(seen.absent) + '\n';
  return "tidewait: " + detail::counted(seen.binds.size() + seen.unrecorded, "bind") +
         " witnessed; not seen: " + open_at_exit + '\n';
}

json bind_to_json(const witnessed_bind& bind) {
  const auto place = [](const std::optional<endpoint>& where) {
    return where ? to_json(*where) : json(nullptr);
  };
  const auto time =
      std::chrono::duration_cast<std::chrono::milliseconds>(bind.time.time_since_epoch());
  return {{"time_ms", time.count()},
          {"pid", bind.pid},
          {"thread", bind.thread},
          {"command", bind.command},
          {"test", bind.test.empty() ? json(nullptr) : json(bind.test)},
          {"protocol", to_string(bind.kind)},
          {"asked", place(bind.asked)},
          {"got", place(bind.got)},
          {"path", bind.path.empty() ? json(nullptr) : json(bind.path)},
          {"kernel_chose_port", bind.kernel_chose_port},
          {"reuse_address", bind.reuse_address},
          {"reuse_port", bind.reuse_port},
          {"v6only", bind.scope == ipv6_only::yes},
          {"listening", bind.listening},
          {"cookie", cookie_text(bind.cookie)},
          {"namespace", std::to_string(bind.net_cookie)},
          {"error", bind.error ? json(error_name(bind.error)) : json(nullptr)},
          {"result", to_string(bind.sure)},
          {"partial", bind.partial.empty() ? json(nullptr) : json(bind.partial)},
          {"stack", bind.stack.empty() ? json(nullptr) : json(bind.stack)}};
}

}  // namespace

std::size_t run_report::leaks() const noexcept {
  std::size_t count = found.incidents.size();
  if (!warns_only) count += beside_findings();
  for (const finding& each : found.findings) {
    if (each.fails) count += each.only_shared() ? 1 : std::max<std::size_t>(1, each.left());
  }
  for (const unix_finding& each : found.unix_findings) count += each.fails ? 1 : 0;
  return count;
}

std::size_t run_report::warnings() const noexcept {
  std::size_t count = found.warnings.size();
  if (warns_only) count += beside_findings();
  for (const finding& each : found.findings) {
    if (!each.fails && each.certain) count += std::max<std::size_t>(1, each.count());
  }
  if (warns_only) count += found.unix_findings.size();
  return count;
}

bool succeeded(const run_report& run, const std::vector<int>& also_success) {
  const auto end = also_success.end();
  return run.status &&
         (*run.status == 0 || std::find(also_success.begin(), end, *run.status) != end);
}

int verdict(const run_report& run, const std::vector<int>& also_success) {
  if (run.status && !succeeded(run, also_success)) return *run.status;
  if (run.leaks() != 0) return exit_code::left_behind;
  return run.status && run.clean() ? *run.status : exit_code::cannot_look;
}

std::string to_text(const run_report& run) {
  std::string text = run.error.empty() ? "" : "tidewait: " + detail::sanitised(run.error) + '\n';
  for (const told_by_test& each : run.told) {
    text += "tidewait: " + detail::sanitised(run.found.test) + ": what " +
            detail::sanitised(each.test) + " has reported on " + each.place + " is still there\n";
  }
  if (run.show_summary) text += describe_witness(run.witness);
  if (run.show_failures) {
    const std::string failures = describe_failures(run.witness);
    if (failures != run.said_failures) text += failures;
  }
  return text + render(with_orphans(run));
}

std::string to_json_text(const run_report& run) {
  json findings = json::array();
  for (const finding& each : run.found.findings) {
    json value = to_json(each.why, {});
    value["fails"] = each.fails;
    findings.push_back(std::move(value));
  }
  json unix_findings = json::array();
  for (const unix_finding& each : run.found.unix_findings) {
    json value = to_json(each.why);
    value["fails"] = each.fails;
    unix_findings.push_back(std::move(value));
  }
  json told = json::array();
  for (const told_by_test& each : run.told) {
    told.push_back({{"test", each.test}, {"local", each.place}, {"sockets", each.sockets}});
  }
  json processes = json::array();
  for (const tree_process& each : run.orphans) {
    processes.push_back({{"pid", each.pid},
                         {"parent", each.parent},
                         {"name", each.name},
                         {"command", each.command}});
  }
  json binds = json::array();
  for (const witnessed_bind& each : run.witness.binds) binds.push_back(bind_to_json(each));
  json failed_binds = json::array();
  for (const failed_bind& each : run.witness.failures) {
    json value = bind_to_json(each.first);
    value["count"] = each.count;
    value["held_by"] = describe_holder(each.first, run.witness);
    value["why"] = each.why ? to_json(*each.why, {}) : json(nullptr);
    failed_binds.push_back(std::move(value));
  }
  json harmless = json::array();
  for (const harmless_remainder& each : run.found.harmless) {
    harmless.push_back({{"local", to_json(each.local)}, {"count", each.count}, {"why", each.why}});
  }
  const json witness = {
      {"absent", run.witness.absent.empty() ? json(nullptr) : json(to_string(run.witness.absent))},
      {"unrecorded", run.witness.unrecorded},
      {"unexplained", run.witness.unexplained},
      {"not_seen", json::array({open_at_exit})}};
  const json whole = {{"name", run.found.test},
                      {"clean", run.clean()},
                      {"leaks", run.leaks()},
                      {"warnings", run.warnings()},
                      {"exit_code", run.status ? json(*run.status) : json(nullptr)},
                      {"error", run.error.empty() ? json(nullptr) : json(run.error)},
                      {"took_ms", run.took.count()},
                      {"isolated", run.isolated},
                      {"findings", std::move(findings)},
                      {"unix_findings", std::move(unix_findings)},
                      {"reported_by_tests", std::move(told)},
                      {"processes", std::move(processes)},
                      {"witness", witness},
                      {"binds", std::move(binds)},
                      {"failed_binds", std::move(failed_binds)},
                      {"harmless", std::move(harmless)},
                      {"incidents", run.found.incidents},
                      {"could_not_look", to_string(run.found.blind)},
                      {"notes", run.found.notes},
                      {"seen", to_json(run.found.seen)}};
  return output{}.add_json(to_text(whole, 2)).add("\n").text();
}

std::string to_junit(const run_report& run) {
  const std::string name = xml_escaped(detail::sanitised(run.found.test));
  const bool unknown = !run.error.empty();
  const bool failed = !unknown && (!run.clean() || run.status != 0);
  const auto ms = run.took.count();
  std::string millis = std::to_string(ms % 1000);
  millis.insert(0, 3 - millis.size(), '0');
  const std::string time = std::to_string(ms / 1000) + '.' + millis;
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  text += "<testsuites>\n  <testsuite name=\"tidewait\" tests=\"1\" failures=\"";
  text += failed ? '1' : '0';
  text += "\" errors=\"";
  text += unknown ? '1' : '0';
  text += "\" skipped=\"0\" time=\"" + time + "\">\n";
  text += "    <testcase classname=\"tidewait\" name=\"" + name + "\" time=\"" + time + "\">\n";
  const std::string words = to_text(run);
  if (unknown) {
    text += "      <error message=\"" + xml_escaped(first_line(words)) + "\">";
    text += xml_escaped(words) + "</error>\n";
  } else if (!run.clean()) {
    text += "      <failure message=\"" + xml_escaped(first_line(words)) + "\">";
    text += xml_escaped(words) + "</failure>\n";
  } else if (run.status != 0) {
    text += "      <failure message=\"exit code " + std::to_string(*run.status) + "\"/>\n";
  } else if (!words.empty()) {
    text += "      <system-err>" + xml_escaped(words) + "</system-err>\n";
  }
  return text + "    </testcase>\n  </testsuite>\n</testsuites>\n";
}

std::string to_github_annotation(const run_report& run) {
  if (run.clean()) return {};
  std::string text = "::error title=tidewait::";
  for (const char c : to_text(run)) {
    switch (c) {
      case '%': text += "%25"; break;
      case '\n': text += "%0A"; break;
      case '\r': text += "%0D"; break;
      default: text += c;
    }
  }
  return text + '\n';
}

std::string to_ctest_measurement(const run_report& run) {
  if (!run.error.empty()) return {};
  const auto line = [](const char* name, std::size_t count) {
    return std::string{"<CTestMeasurement type=\"numeric/integer\" name=\""} + name + "\">" +
           std::to_string(count) + "</CTestMeasurement>\n";
  };
  return line("tidewait_leaks", run.leaks() + run.reported_and_gone + run.warnings()) +
         (run.warnings() == 0 ? "" : line("tidewait_warnings", run.warnings()));
}

}  // namespace tidewait::command
