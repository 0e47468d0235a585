// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tidewait/detail/text.hpp>

#include "report_output.hpp"
#include "xml.hpp"

namespace tidewait::command {
namespace {

using nlohmann::json;

json to_json(const report_table& table) {
  json rows = json::array();
  for (const auto& row : table.rows) {
    json object = json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
      const report_cell& cell = row[i];
      const bool whole = cell.is_number && cell.text.find(' ') == std::string::npos;
      json& value = object[table.columns[i].id];
      if (whole) {
        value = static_cast<std::uint64_t>(cell.number);
      } else if (cell.is_number) {
        value = cell.number;
      } else {
        value = cell.text;
      }
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

json to_json(const journal_source& source) {
  json versions = json::object();
  for (const auto& [version, count] : source.versions) versions[std::to_string(version)] = count;
  return {{"path", detail::sanitised(source.path)},
          {"error", source.error.empty() ? json(nullptr) : json(source.error)},
          {"lines", source.lines},
          {"torn", source.torn},
          {"foreign", source.foreign},
          {"unknown_events", source.unknown},
          {"other_versions", std::move(versions)}};
}

double seconds(report_time time) { return static_cast<double>(time) / 1e6; }

}  // namespace

std::string to_json_text(const journal_report& report) {
  json tests = json::array();
  for (const test_run& each : report.model.tests) {
    if (each.container) continue;
    const report_process& process = report.model.processes[each.process];
    tests.push_back(
        {{"name", report.records.texts[each.name]},
         {"host", report.records.texts[report.model.machines[process.machine].host]},
         {"pid", process.pid},
         {"begin", seconds(each.begin)},
         {"seconds", each.measured ? json(seconds(each.end - each.begin)) : json(nullptr)},
         {"failed", each.failed}});
  }
  json tables = json::object();
  for (const report_table& each : report.summary.tables) tables[each.id] = to_json(each);
  json findings = json::array();
  for (const report_finding& each : report.summary.findings) {
    findings.push_back({{"kind", to_string(each.kind)},
                        {"key", each.key},
                        {"test", each.test},
                        {"what", each.what},
                        {"blocking", each.blocking}});
  }
  json steps = json::array();
  for (const report_step& each : report.advice.steps)
    steps.push_back({{"what", each.what}, {"paste", each.paste}, {"why", each.why}});
  json journals = json::array();
  for (const journal_source& each : report.records.sources) journals.push_back(to_json(each));
  const json all = {{"tidewait_report", 1},
                    {"journals", std::move(journals)},
                    {"caveats", caveats(report)},
                    {"tests", std::move(tests)},
                    {"tables", std::move(tables)},
                    {"findings", std::move(findings)},
                    {"advice",
                     {{"jobs", report.advice.jobs},
                      {"serial_seconds", seconds(report.advice.serial)},
                      {"locked_seconds", seconds(report.advice.locked)},
                      {"free_seconds", seconds(report.advice.free)},
                      {"steps", std::move(steps)}}}};
  return output{}.add_json(all.dump(2, ' ', false, json::error_handler_t::replace)).text() + '\n';
}

std::string to_junit(const journal_report& report) {
  struct test_case {
    report_time duration = 0;
    std::vector<const report_finding*> findings;
  };
  std::map<std::string, test_case> cases;
  for (const test_run& each : report.model.tests) {
    if (each.container) continue;
    test_case& in = cases[report.records.texts[each.name]];
    if (each.measured) in.duration += each.end - each.begin;
  }
  for (const report_finding& each : report.summary.findings)
    cases[each.test].findings.push_back(&each);
  const auto failures = std::count_if(
      cases.begin(), cases.end(), [](const auto& each) { return !each.second.findings.empty(); });
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  text += "  <testsuite name=\"tidewait report\" tests=\"" + std::to_string(cases.size()) +
          "\" failures=\"" + std::to_string(failures) + "\" errors=\"0\" skipped=\"0\">\n";
  for (const auto& [name, each] : cases) {
    const auto ms = each.duration / 1000;
    std::string fraction = std::to_string(ms % 1000);
    fraction.insert(0, 3 - fraction.size(), '0');
    text += "    <testcase classname=\"tidewait\" name=\"" + xml_escaped(name) + "\" time=\"" +
            std::to_string(ms / 1000) + '.' + fraction + '"';
    if (each.findings.empty()) {
      text += "/>\n";
      continue;
    }
    std::string all;
    for (const report_finding* finding : each.findings) all += finding->what + '\n';
    text += ">\n      <failure type=\"" + std::string{to_string(each.findings.front()->kind)} +
            "\" message=\"" + xml_escaped(each.findings.front()->what) + "\">" + xml_escaped(all) +
            "</failure>\n    </testcase>\n";
  }
  return text + "  </testsuite>\n</testsuites>\n";
}

}  // namespace tidewait::command
