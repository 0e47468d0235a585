// SPDX-License-Identifier: BSL-1.0
#include "report.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/journal.hpp>

#include "command.hpp"
#include "report_output.hpp"

namespace tidewait::command {
namespace {

struct report_options {
  std::vector<std::string> journals;
  std::string before;
  std::string html;
  std::string json;
  std::string junit;
  std::vector<std::string> fail_on;
  std::size_t jobs = 0;
  painter paint;
};

constexpr const char* kinds_to_fail_on[] = {"new",       "blocking",    "collision",
                                            "shared",    "bind_failed", "left_behind",
                                            "time_wait", "wildcard",    "unended"};

std::string check_kind(const std::string& text) {
  std::string names;
  for (const char* each : kinds_to_fail_on) {
    if (text == each) return {};
    names += (names.empty() ? "" : ", ") + std::string{each};
  }
  return '\'' + text + "' is none of: " + names;
}

std::vector<std::string> journals_of(const report_options& options) {
  if (!options.journals.empty()) return options.journals;
  if (!journal_path().empty()) return {std::string{journal_path()}};
  throw usage_error{
      "no journal: name the file that TIDEWAIT_JOURNAL named when the tests ran. CTest's, with "
      "the functions for CMake, is Testing/tidewait-journal.jsonl in the build directory"};
}

/// Without a line nothing is known, and that is not "nothing found".
bool has_lines(const journal_report& report, const std::string& which) {
  if (!report.records.records.empty()) return true;
  say("tidewait report: " + which + " no journal lines\n");
  for (const std::string& each : caveats(report)) say("  " + each + '\n');
  return false;
}

/// How many findings `--fail-on` names.
std::size_t count_failures(const report_options& options, const journal_report& report,
                           const report_comparison* comparison) {
  const auto is_asked = [&](std::string_view kind) {
    return std::find(options.fail_on.begin(), options.fail_on.end(), kind) != options.fail_on.end();
  };
  return static_cast<std::size_t>(std::count_if(
      report.summary.findings.begin(), report.summary.findings.end(),
      [&](const report_finding& each) {
        if (is_asked(to_string(each.kind)) || (each.blocking && is_asked("blocking"))) return true;
        return comparison != nullptr && is_asked("new") &&
               std::find(comparison->appeared.begin(), comparison->appeared.end(), &each) !=
                   comparison->appeared.end();
      }));
}

bool write_file(const std::string& path, const std::string& text) {
  const auto error = detail::replace_file(path, text);
  if (error) say("tidewait report: writing " + path + ": " + error.message() + '\n');
  return !error;
}

int run_report(const report_options& options) {
  const bool wants_new =
      std::find(options.fail_on.begin(), options.fail_on.end(), "new") != options.fail_on.end();
  if (wants_new && options.before.empty())
    throw usage_error{"--fail-on new needs a run to compare with: write --compare BEFORE"};
  const std::size_t jobs =
      options.jobs != 0 ? options.jobs : std::max(1U, std::thread::hardware_concurrency());
  journal_report report;
  make_report(journals_of(options), jobs, report);
  if (!has_lines(report, "the journals have")) return exit_code::cannot_look;
  bool complete = std::all_of(report.records.sources.begin(), report.records.sources.end(),
                              [](const journal_source& each) { return each.error.empty(); });
  journal_report before;
  report_comparison comparison;
  if (!options.before.empty()) {
    make_report({options.before}, jobs, before);
    if (!has_lines(before, options.before + " has")) return exit_code::cannot_look;
    comparison = compare(before, report);
    print(to_terminal(comparison, options.paint));
  } else {
    print(to_terminal(report, options.paint));
  }

  if (!options.html.empty()) complete = write_file(options.html, to_html(report)) && complete;
  if (!options.json.empty()) complete = write_file(options.json, to_json_text(report)) && complete;
  if (!options.junit.empty()) complete = write_file(options.junit, to_junit(report)) && complete;
  const std::size_t failures =
      count_failures(options, report, options.before.empty() ? nullptr : &comparison);
  if (failures != 0) {
    say("tidewait report: " + detail::counted(failures, "finding") + " of --fail-on " +
        detail::joined(options.fail_on, ",") + '\n');
    return exit_code::bad;
  }
  return complete ? exit_code::fine : exit_code::cannot_look;
}

}  // namespace

void add_report(CLI::App& app, int& status) {
  const auto options = std::make_shared<report_options>();
  CLI::App* const sub = app.add_subcommand(
      "report", "Show which test used which port, which tests collide, and what to change");
  sub->add_option("JOURNAL", options->journals,
                  "The journals of one run, from any number of programs, shards and machines; by "
                  "default the one that TIDEWAIT_JOURNAL names")
      ->option_text("[JOURNAL]...");
  sub->add_option("--html", options->html, "Write a page with a timeline to a file")
      ->type_name("FILE");
  sub->add_option("--json", options->json, "Write the report to a file as JSON")->type_name("FILE");
  sub->add_option("--junit", options->junit, "Write the findings to a file as JUnit XML")
      ->type_name("FILE");
  sub->add_option("--fail-on", options->fail_on,
                  "End with exit code 1 if there are findings of these kinds: new (with "
                  "--compare), blocking, collision, shared, bind_failed, left_behind, time_wait, "
                  "wildcard, unended")
      ->type_name("KIND,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(check_kind);
  sub->add_option("--compare", options->before,
                  "Show what is new and what is gone since that journal")
      ->type_name("BEFORE");
  sub->add_option("--jobs,-j", options->jobs,
                  "Estimate for ctest -j N; by default the number of processors")
      ->type_name("N")
      ->check(CLI::Range(1, 10000).description(""));
  options->paint.add_option(*sub);
  sub->footer(
      "Tests write a journal if TIDEWAIT_JOURNAL names a file. tidewait_discover_tests() makes "
      "them\n"
      "write Testing/tidewait-journal.jsonl in the build directory. Exit code 0: done; 1: "
      "findings\n"
      "of --fail-on; 2: wrong command line; 3: a journal could not be read or was empty, or a "
      "file\n"
      "could not be written.\n"
      "\n"
      "Examples:\n"
      "  tidewait report build/Testing/tidewait-journal.jsonl --html ports.html\n"
      "  tidewait report shard1.jsonl shard2.jsonl --fail-on blocking,shared\n"
      "  tidewait report --compare before.jsonl after.jsonl --fail-on new\n");
  sub->callback([options, &status] { status = run_report(*options); });
}

}  // namespace tidewait::command
