// SPDX-License-Identifier: BSL-1.0
#include "known.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/policy_line.hpp>
#include <tidewait/detail/program_tally.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

#include "become.hpp"
#include "command.hpp"
#include "run.hpp"
#include "run_tally.hpp"

namespace tidewait::command {
namespace {

struct known_options {
  run_options run;
  std::string file;
  bool patterns = false;
};

/// The rules of a file, as text; none if it is not there. Throws `usage_error`.
std::set<std::string> rules_in(const std::string& path) {
  std::set<std::string> rules;
  std::string text;
  if (detail::read_named_file(path.c_str(), text, detail::most_of_a_policy) ==
      std::errc::no_such_file_or_directory) {
    return rules;
  }
  try {
    const policy read = read_policy_file(path);
    for (const policy_rule& each : read.rules()) rules.insert(to_string(each));
  } catch (const policy_error& flaw) {
    throw usage_error{flaw.what()};
  }
  return rules;
}

void edit(const std::string& path, const std::function<std::string(const std::string&)>& change) {
  const auto error = detail::edit_named_file(path, detail::most_of_a_policy, change);
  if (error) {
    throw std::runtime_error{"writing " + detail::sanitised(path) + ": " +
                             detail::why_not_edited(error)};
  }
}

/// The text without the lines of these rules. A line is known by what it says: its number may have
/// changed.
std::string without_rules(const std::string& text, const std::set<std::string>& rules) {
  std::string_view rest = text;
  const std::string_view mark = detail::byte_order_mark_of(rest);
  rest.remove_prefix(mark.size());
  std::string kept{mark};
  while (!rest.empty()) {
    const std::string_view line = detail::take_line(rest);
    bool goes = false;
    try {
      const policy read = parse_policy(detail::split_policy_line(line).item);
      goes = read.rules().size() == 1 &&
             rules.count(detail::sanitised(to_string(read.rules().front()))) != 0;
    } catch (const policy_error&) {
      // Not a rule, and so none of those.
    }
    if (!goes) kept.append(line) += '\n';
  }
  return kept;
}

/// Rules that differ only in the test, of one suite, as one for the suite: "test=Echo.*". What no
/// other agrees with stays as it is.
std::map<std::string, std::vector<std::string>> by_suite(const std::set<std::string>& rules) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const std::string& text : rules) {
    policy_rule rule = parse_policy(text).rules().front();
    const auto dot = rule.test.find('.');
    if (dot == std::string::npos) continue;
    rule.test = rule.test.substr(0, dot + 1) + '*';
    groups[to_string(rule)].push_back(text);
  }
  for (auto each = groups.begin(); each != groups.end();)
    each = each->second.size() < 2 ? groups.erase(each) : std::next(each);
  return groups;
}

int record(known_options& options, const std::vector<std::string>& command) {
  const std::string path = detail::absolute_path(options.file);
  const std::set<std::string> before = rules_in(path);
  // What cannot be written is said before the run, which may take long.
  edit(path, [](const std::string& text) { return detail::with_rules(text, {}); });
  set_variable(detail::record_variable, path);
  // What is known already passes as known; all else is a warning, so that the tests' own failures
  // are the only ones.
  const char* const outside = detail::environment(policy_variable);
  std::string rules = outside == nullptr ? "" : std::string{outside} + ", ";
  if (!before.empty()) {
    policy_rule quoted;
    quoted.test = path;
    rules += '@' + to_string(quoted).substr(std::string_view{"test="}.size()) + ", ";
  }
  set_variable(policy_variable, rules + "warn:all");
  const int status = run_command(options.run, command);
  std::set<std::string> added = rules_in(path);
  for (const std::string& each : before) added.erase(each);
  if (options.patterns) {
    const auto groups = by_suite(added);
    edit(path, [&](const std::string& text) {
      std::string changed = text;
      for (const auto& [suite, tests] : groups) {
        std::set<std::string> gone;
        for (const std::string& each : tests) gone.insert(detail::sanitised(each));
        changed = detail::with_rules(without_rules(changed, gone), {suite});
      }
      return changed;
    });
    added = rules_in(path);
    for (const std::string& each : before) added.erase(each);
  }
  const std::string file = detail::sanitised(from_here(path));
  if (added.empty()) {
    say("tidewait: nothing new to record in " + file + '\n');
  } else {
    say("tidewait: recorded " + detail::counted(added.size(), "new rule") + " in " + file +
        "\n  next: run the tests with TIDEWAIT_POLICY=@" + detail::sanitised(path) +
        ", or write TOLERATE @FILE in CMake; then only new findings fail\n");
  }
  return status;
}

int prune(known_options& options, const std::vector<std::string>& command) {
  if (!detail::tally_path().empty())
    throw usage_error{"known prune inside another run, which has TIDEWAIT_TALLY: run it outside"};
  std::vector<detail::tally_rule> fixed;
  std::set<std::string> read;
  options.run.at_end = [&](const detail::tally& all, const run_verdict& verdict) {
    fixed = verdict.fixed;
    read = all.files;
  };
  const int status = run_command(options.run, command);
  const std::string only =
      options.file.empty() ? "" : detail::sanitised(detail::absolute_path(options.file));
  std::map<std::string, std::set<std::string>> files;
  for (const detail::tally_rule& each : fixed) {
    const bool wanted = only.empty() || each.file == only;
    if (!each.file.empty() && wanted) files[each.file].insert(each.rule);
  }
  for (const auto& [file, rules] : files) {
    edit(file, [&, &gone = rules](const std::string& text) { return without_rules(text, gone); });
    say("tidewait: removed " + detail::counted(rules.size(), "rule") + " from " + from_here(file) +
        '\n');
  }
  if (files.empty()) {
    const bool was_read = only.empty() ? !read.empty() : read.count(only) != 0;
    say(was_read ? "tidewait: no rule to remove\n"
                 : "tidewait: nothing removed: the run did not read " +
                       (only.empty() ? "a file of rules" : from_here(only)) +
                       "; set TIDEWAIT_POLICY=@FILE for it, or write TOLERATE @FILE in CMake\n");
  }
  return status;
}

}  // namespace

void add_known(CLI::App& app, int& status, const std::vector<std::string>& command) {
  CLI::App* const known =
      app.add_subcommand("known", "Keep a file of known findings, so that only new ones fail");
  known->require_subcommand(1);
  constexpr const char* footer =
      "The exit code is that of `tidewait run`. In the file, each line is a rule as in "
      "TIDEWAIT_POLICY, its\nreason behind '#'.\n"
      "\n"
      "Examples:\n"
      "  tidewait known record --file tests/known_ports.txt -- ctest --test-dir build\n"
      "  TIDEWAIT_POLICY=@$PWD/tests/known_ports.txt tidewait run --strict -- ctest --test-dir "
      "build\n"
      "  TIDEWAIT_POLICY=@$PWD/tests/known_ports.txt tidewait known prune -- ctest --test-dir "
      "build\n";
  known->footer(footer);
  const auto add = [&](const char* name, const char* what,
                       int (*act)(known_options&, const std::vector<std::string>&)) {
    const auto options = std::make_shared<known_options>();
    CLI::App* const sub = known->add_subcommand(name, what);
    sub->footer(footer);
    sub->add_option("command", options->run.misplaced, "The command, after --")
        ->type_name("-- COMMAND [ARG...]");
    sub->callback([options, act, name, &status, &command] {
      if (command.empty() || !options->run.misplaced.empty()) {
        throw usage_error{std::string{"write -- in front of the command: tidewait known "} + name +
                          " [options] -- COMMAND"};
      }
      status = act(*options, command);
    });
    return std::pair{sub, options};
  };
  const auto [to_record, record_options] = add(
      "record", "Run a command with all findings as warnings, and write them to a file", record);
  record_options->file = "known_ports.txt";
  to_record
      ->add_option("--file", record_options->file,
                   "File to add the rules to (default known_ports.txt); its present rules stay")
      ->type_name("FILE");
  to_record->add_flag("--patterns", record_options->patterns,
                      "One rule for several tests of a suite: test=Suite.*");
  const auto [to_prune, prune_options] = add(
      "prune", "Run a command, and remove the rules that let nothing pass in the whole run", prune);
  to_prune
      ->add_option("--file", prune_options->file,
                   "Only from this file (default: all files of rules that the run reads)")
      ->type_name("FILE");
}

}  // namespace tidewait::command
