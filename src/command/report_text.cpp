// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <set>
#include <string>

#include <tidewait/detail/text.hpp>

#include "files.hpp"
#include "report_code.hpp"
#include "report_output.hpp"

namespace tidewait::command {

std::string describe(const journal_report& report) {
  const auto tests =
      static_cast<std::size_t>(std::count_if(report.model.tests.begin(), report.model.tests.end(),
                                             [](const test_run& each) { return !each.container; }));
  std::set<std::size_t> processes;  // a launcher is none of them
  for (const test_run& each : report.model.tests) {
    if (!each.container) processes.insert(each.process);
  }
  std::set<text_id> hosts;
  for (const report_machine& each : report.model.machines) hosts.insert(each.host);
  std::string text =
      detail::counted(tests, "test") + " in " + detail::counted(processes.size(), "process");
  if (hosts.size() > 1) text += " on " + detail::counted(hosts.size(), "machine");
  return text + ", " + detail::counted(report.model.spans.size(), "socket") + ", " +
         detail::counted(report.records.records.size(), "line");
}

std::vector<std::string> caveats(const journal_report& report) {
  std::vector<std::string> all;
  for (const journal_source& each : report.records.sources) {
    const std::string path = detail::sanitised(each.path);
    const auto add = [&](std::size_t count, const std::string& what) {
      if (count != 0) all.push_back(path + ": " + detail::counted(count, "line") + ' ' + what);
    };
    if (!each.error.empty()) all.push_back(path + " cannot be read: " + each.error);
    if (each.error.empty() && each.bytes == 0) all.push_back(path + " is empty");
    if (each.skipped != 0) {
      all.push_back(path + ": the first " + std::to_string(each.skipped) +
                    " bytes are not read: only the newest part of a long journal is");
    }
    for (const auto& [version, count] : each.versions) {
      add(count, "of version " + std::to_string(version) +
                     " of the format, which this tidewait cannot read: use a newer one");
    }
    add(each.torn, "torn, or with a field that is missing or wrong: passed over");
    add(each.foreign, "that no journal has: passed over");
    add(each.unknown, "with an event that this tidewait does not know: passed over");
  }
  all.insert(all.end(), report.model.caveats.begin(), report.model.caveats.end());
  return all;
}

namespace {

/// Of a table the terminal shows that many rows.
constexpr std::size_t most_rows = 10;

void add_table(output& text, const report_table& table, const painter& paint) {
  text.add("\n");
  paint.add(text, colour::bold, table.title);
  text.add("\n");
  if (!table.about.empty()) text.add("  " + detail::wrapped(table.about, 2, 100) + '\n');
  std::vector<std::string> header;
  for (const report_table::column& each : table.columns) header.push_back(each.title);
  detail::text_table rows{std::move(header)};
  for (std::size_t i = 0; i < table.rows.size() && i < most_rows; ++i) {
    std::vector<std::string> cells;
    for (std::size_t j = 0; j < table.rows[i].size(); ++j) {
      const bool last = j + 1 == table.rows[i].size();
      constexpr std::size_t widest = 60;
      cells.push_back(detail::clipped(table.rows[i][j].text, last ? 400 : widest));
    }
    rows.add(std::move(cells));
  }
  text.add(rows.render("  ", 120));
  if (table.rows.size() > most_rows)
    text.add("  and " + std::to_string(table.rows.size() - most_rows) +
             " more: see them all with --html\n");
}

void add_advice(output& text, const report_advice& advice, const painter& paint) {
  text.add("\n");
  paint.add(text, colour::bold, "What to do");
  text.add("\n");
  if (advice.steps.empty()) {
    text.add(
        "  No two tests bind the same number, so none need to be kept apart, and none leaves "
        "a socket open.\n");
    return;
  }
  constexpr std::size_t most_steps = 6;
  for (std::size_t i = 0; i < advice.steps.size() && i < most_steps; ++i) {
    const report_step& step = advice.steps[i];
    text.add("  " + std::to_string(i + 1) + ". " +
             detail::wrapped(step.why.empty() ? step.what : step.what + ": " + step.why, 5, 100) +
             "\n\n");
    for (const std::string& line : step.paste) {
      text.add("       ");
      paint.add(text, colour::green, line);
      text.add("\n");
    }
    text.add("\n");
  }
  if (advice.steps.size() > most_steps)
    text.add("  and " + std::to_string(advice.steps.size() - most_steps) + " more\n\n");
  if (advice.serial != 0) {
    std::string note =
        "The times are estimates, from the recorded durations of the tests and without what "
        "starting a program costs";
    if (advice.unmeasured != 0) {
      note += "; " + detail::counted(advice.unmeasured, "test") +
              " of unknown duration counted as nothing";
    }
    text.add("  " + detail::wrapped(note + '.', 2, 100) + '\n');
  }
}

}  // namespace

output to_terminal(const journal_report& report, const painter& paint) {
  output text;
  paint.add(text, colour::bold, "tidewait report");
  text.add(": " + describe(report) + '\n');
  for (const std::string& each : caveats(report))
    text.add("  note: " + detail::wrapped(each, 8, 100) + '\n');
  for (const report_table& each : report.summary.tables) add_table(text, each, paint);
  if (report.summary.findings.empty()) text.add("\nNothing found that needs attention.\n");
  add_advice(text, report.advice, paint);
  return text;
}

output to_terminal(const report_comparison& comparison, const painter& paint) {
  output text;
  const auto list = [&](const char* title, const char* mark, colour how,
                        const std::vector<const report_finding*>& findings) {
    text.add("\n");
    paint.add(text, colour::bold, title + (": " + std::to_string(findings.size())));
    text.add("\n");
    constexpr std::size_t most = 50;
    for (std::size_t i = 0; i < findings.size() && i < most; ++i) {
      paint.add(text, how, std::string{"  "} + mark + ' ');
      text.add(detail::wrapped(findings[i]->what, 4, 120) + '\n');
    }
    if (findings.size() > most)
      text.add("  and " + std::to_string(findings.size() - most) + " more\n");
  };
  list("New", "+", colour::red, comparison.appeared);
  list("Gone", "-", colour::green, comparison.gone);
  text.add("\nIn both: " + std::to_string(comparison.remained) + '\n');
  if (comparison.before != 0 && comparison.after != 0) {
    const auto seconds = [](report_time time) {
      return detail::to_text(std::chrono::milliseconds{time / 1000});
    };
    text.add("All tests one after the other: " + seconds(comparison.before) + ", then " +
             seconds(comparison.after) + '\n');
  }
  return text;
}

report_comparison compare(const journal_report& before, const journal_report& after) {
  report_comparison found;
  const auto keys_of = [](const journal_report& report) {
    std::set<std::string_view> keys;
    for (const report_finding& each : report.summary.findings) keys.insert(each.key);
    return keys;
  };
  const auto old = keys_of(before);
  const auto now = keys_of(after);
  for (const report_finding& each : after.summary.findings) {
    if (old.count(each.key) == 0) found.appeared.push_back(&each);
  }
  for (const report_finding& each : before.summary.findings)
    now.count(each.key) == 0 ? found.gone.push_back(&each) : void(++found.remained);
  found.before = before.advice.serial;
  found.after = after.advice.serial;
  return found;
}

void make_report(const std::vector<std::string>& paths, std::size_t jobs, journal_report& report,
                 report_time since) {
  for (const std::string& each : paths) {
    const std::string older = each + ".1";  // what a long journal was before
    if (file_exists(older)) read_journal_file(older, report.records);
    read_journal_file(each, report.records);
  }
  auto& records = report.records.records;
  records.erase(std::remove_if(records.begin(), records.end(),
                               [&](const journal_record& each) { return each.time < since; }),
                records.end());
  const std::string unnamed = name_code(report.records);
  report.model = make_model(report.records);
  if (!unnamed.empty()) report.model.caveats.push_back(unnamed);
  report.summary = summarise(report.records, report.model);
  report.advice = advise(report.records, report.model, report.summary, jobs);
}

}  // namespace tidewait::command
