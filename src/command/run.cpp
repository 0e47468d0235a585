// SPDX-License-Identifier: BSL-1.0
#include "run.hpp"

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/adapter.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/port_lease.hpp>

#include "become.hpp"
#include "command.hpp"
#include "end_by.hpp"
#include "files.hpp"
#include "launch_and_end.hpp"
#include "run_tally.hpp"
#include "streams.hpp"
#include "wrapped_command.hpp"

namespace tidewait::command {
namespace {

bool is_set(const char* variable) {
  const char* const value = detail::environment(variable);
  return value != nullptr && *value != '\0';
}

policy read_policy(const run_options& options) {
  policy rules;
  try {
    for (const std::string& each : options.tolerate) rules = parse_policy(each, std::move(rules));
    if (!options.max_wait.empty())
      rules = parse_policy("max_wait=" + options.max_wait, std::move(rules));
  } catch (const policy_error& error) {
    throw usage_error{error.what()};
  }
  return rules;
}

/// What the report calls the command: as asked, as TIDEWAIT_TEST says, or by its command line.
std::string name_of(const run_options& options, const std::vector<std::string>& command) {
  if (!options.name.empty()) return options.name;
  if (is_set(test_variable)) return detail::test_of_environment();
  std::string line{last_part(command.front())};
  for (std::size_t i = 1; i < command.size(); ++i) line += ' ' + command[i];
  return detail::clipped(detail::sanitised(line), 50);
}

/// A command as a shell reads it, where that is short and plain.
std::string command_line(const std::vector<std::string>& command) {
  std::string line = detail::joined(command, " ");
  const bool plain =
      line.size() <= 60 && line.find_first_of("'\"\\$`;|&<>()*?[#~!{}\n") == std::string::npos;
  return plain ? line : "COMMAND";
}

/// A run goes on without a summary, unless its exit code depends on that.
void begin_tally(const run_options& options, std::optional<run_tally>& tally) {
  try {
    tally.emplace();
  } catch (const std::system_error& error) {
    if (options.strict) throw;
    say("tidewait: note: no summary of the run: " + detail::sanitised(error.what()) + '\n');
  }
}

/// Judges the run that ends here: what all its looks came to, and which rules can go.
void judge(const run_options& options, const std::vector<std::string>& command,
           const run_tally& tally, run_report& result) {
  program_end::now();
  if (!tally.own()) return;
  const detail::tally all = tally.read();
  const run_verdict verdict = judge_run(all, ran_all_tests(command, all), command_line(command));
  say(verdict.text);
  if (options.at_end) options.at_end(all, verdict);
  if (!options.strict) return;
  if (!verdict.blind.empty()) {
    const gap blind{"--strict: the rules could not be judged: " + verdict.blind, ""};
    if (result.found.blind.empty()) result.found.blind = blind;
    result.found.blind_fails = true;
    say("tidewait: " + detail::sanitised(blind.why) + '\n');
  }
  if (verdict.fixed.empty()) return;
  std::vector<std::string> rules;
  for (const detail::tally_rule& each : verdict.fixed) rules.push_back(each.rule);
  result.found.incidents.push_back("--strict: remove " + detail::counted(rules.size(), "rule") +
                                   " that let nothing pass: " + detail::joined(rules, ", "));
  say("tidewait: " + result.found.incidents.back() + '\n');
}

/// Writes the reports that were asked for; false, and says so, if one could not be written.
bool write_reports(const run_options& options, const run_report& run) {
  bool written = true;
  const auto write = [&](const std::string& path, std::string (*text)(const run_report&)) {
    if (path.empty()) return;
    if (const auto error = detail::replace_file(path, text(run))) {
      say("tidewait: writing " + detail::sanitised(path) + ": " + error.message() +
          "; the report above is complete\n");
      written = false;
    }
  };
  write(options.json, to_json_text);
  write(options.junit, to_junit);
  if (is_set("GITHUB_ACTIONS")) instruct(standard_error, to_github_annotation(run));
  if (!options.ctest_measurement) return written;
  const auto error = instruct(standard_output, to_ctest_measurement(run));
  if (error) say("tidewait: writing the measurement (write): " + error.message() + '\n');
  return written && !error;
}

/// Whether CTest's discovery asks a test program for its tests, as GoogleTestAddTests.cmake (CMake
/// 3.16 to 4.x) and CatchAddTests.cmake (Catch2 2.13 to 3.x) do: `PROGRAM --gtest_list_tests
/// [--gtest_filter=...]`, `PROGRAM [SPEC...] --list-tests|--list-test-names-only|--list-reporters
/// [OPTION VALUE]...`. An emulator may stand in front. How they run a test looks different:
/// `PROGRAM --gtest_filter=...`, `PROGRAM NAME [ARG...]`.
bool asks_for_a_list(const std::vector<std::string>& command) {
  const auto is_one_of = [](std::vector<std::string_view> words) {
    return [words = std::move(words)](std::string_view argument) {
      return std::find(words.begin(), words.end(), argument) != words.end();
    };
  };
  const auto begin = command.begin() + 1;
  const auto end = command.end();
  const auto googletest = std::find(begin, end, "--gtest_list_tests");
  if (googletest != end) {
    return std::none_of(begin, googletest, [](const std::string& argument) {
      return argument.rfind("--gtest_", 0) == 0;
    });
  }
  auto rest = std::find_if(
      begin, end, is_one_of({"--list-tests", "--list-test-names-only", "--list-reporters"}));
  if (rest == end) return false;
  const auto takes_value = is_one_of({"--verbosity", "--reporter", "--out"});
  for (++rest; rest != end; rest += 2) {
    if (!takes_value(*rest) || rest + 1 == end) return false;
  }
  return true;
}

/// Reads the policy, and sets what the command finds in its environment.
void prepare(const run_options& options, run_request& what) {
  try {
    what.in_force = policy_from_environment(what.rules);
  } catch (const policy_error& error) {
    throw std::runtime_error{std::string{policy_variable} + ": " + error.what()};
  }
  if (!options.name.empty()) set_variable(test_variable, what.name);
  if (!options.journal.empty())
    set_variable(journal_variable, detail::absolute_path(options.journal));
}

}  // namespace

int run_command(const run_options& options, std::vector<std::string> command) {
  if (options.discovery && asks_for_a_list(command)) {
    const std::error_code error = become(command);
    say("tidewait: cannot run " + detail::sanitised(command.front()) + ": " + error.message() +
        '\n');
    return exit_code_of(error);
  }
  run_request what;
  what.rules = read_policy(options);
  what.name = name_of(options, command);
  what.named = !options.name.empty() || is_set(test_variable);
  what.command = command;
  run_report result;
  std::optional<run_tally> tally;
  try {
    // A test of CTest is a part of a run, and does not judge it.
    if (!options.ctest_measurement) begin_tally(options, tally);
    prepare(options, what);
    result = launch_and_end(options, what);
  } catch (const usage_error&) {
    throw;
  } catch (const std::exception& error) {
    result.found.test = what.name;
    result.error = what.name + " was not run: " + error.what();
    say(to_text(result));
  }
  if (tally) judge(options, command, *tally, result);
  tally.reset();  // its files, before a signal ends this
  const bool written = write_reports(options, result);
  // CTest's properties can overrule an exit code.
  if (options.abort && !result.clean()) end_by(SIGABRT);
  if (options.abort && result.ended_by != 0) end_by(result.ended_by);
  const int status = verdict(result, options.success_codes);
  const auto& also = options.success_codes;
  const bool success =
      status == exit_code::fine || std::find(also.begin(), also.end(), status) != also.end();
  return written || !success ? status : exit_code::cannot_look;
}

std::vector<port_lease> lease_for(const run_options& options, std::vector<std::string>& command) {
  std::vector<port_lease> leases;
  if (options.ports != 0) leases = lease_ports(options.ports, protocol_set::tcp, {});
  std::vector<std::uint16_t> numbers;
  for (const port_lease& each : leases) numbers.push_back(each.number());
  hand_over_ports(command, numbers);
  return leases;
}

void tell(const run_options& options, run_report& result) {
  result.show_summary = options.explain == "always";
  result.show_failures = options.explain == "always" || (options.explain == "failure" &&
                                                         !succeeded(result, options.success_codes));
  if (!result.witness.absent.empty() && options.witness == "prefer") {
    say("tidewait: warning: binds are not witnessed: " + to_string(result.witness.absent) + '\n');
  }
  say(to_text(result));
}

void add_run(CLI::App& app, int& status, const std::vector<std::string>& command) {
  const auto options = std::make_shared<run_options>();
  CLI::App* const sub =
      app.add_subcommand("run", "Run a command, and fail if it leaves ports or processes behind");
  sub->footer(
      "The exit code is the command's (128 + n for signal n). It is 97 if the command succeeded\n"
      "and left something behind, 126 or 127 if it could not be executed, and 3 if it was not run\n"
      "or could not be judged.\n"
      "It does not see a listener that a process still has open when it ends: the kernel closes "
      "it.\n"
      "\n"
      "Examples:\n"
      "  tidewait run -- ./net_tests\n"
      "  tidewait run --ports 1 -- ./smoke.sh {port:0}\n"
      "  tidewait run --isolate --junit report.xml -- ctest --test-dir build\n");
  sub->add_option("command", options->misplaced, "The command, after --")
      ->type_name("-- COMMAND [ARG...]");
  sub->add_flag("--isolate{prefer}", options->isolate,
                "Run it in its own network namespace. If that is denied, run it without "
                "(=prefer, the default) or not at all (=require)")
      ->check(CLI::IsMember({"no", "prefer", "require"}));
  sub->add_option("--ports", options->ports,
                  "Lease N free TCP ports: {port:0} in the command, TIDEWAIT_PORT_0 in its "
                  "environment")
      ->type_name("N");
  sub->add_option("--tolerate", options->tolerate,
                  "What may be left behind, as in TIDEWAIT_POLICY: time_wait, port=8080, "
                  "path=/x/*, owner=NAME, "
                  "...")
      ->type_name("RULES")
      ->allow_extra_args(false);
  sub->add_option("--max-wait", options->max_wait,
                  "How long to wait for what is about to end: 250ms (the default), 2s")
      ->type_name("TIME");
  sub->add_flag("--strict", options->strict,
                "Fail if a rule of known findings let nothing pass in the whole run");
  sub->add_option("--name", options->name, "The name of the command in reports")->type_name("NAME");
  sub->add_option("--success-codes", options->success_codes,
                  "Exit codes besides 0 that mean success, such as that of a skipped test")
      ->type_name("N,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  sub->add_flag("--keep-orphans", options->keep_orphans,
                "Do not end the processes that the command left running");
  CLI::Option* const witness =
      sub->add_flag("--witness{prefer}", options->witness,
                    "Record each bind and listen of the command, even if that needs no_new_privs "
                    "(it does without root and without --isolate): sudo and other setuid programs "
                    "then fail in it. =require: do not run it if binds cannot be recorded")
          ->check(CLI::IsMember({"auto", "prefer", "require"}));
  sub->add_flag("--no-witness", options->no_witness, "Record no bind and no listen")
      ->excludes(witness);
  sub->add_option("--explain", options->explain,
                  "When to print which binds failed, and why: if the command failed (failure, the "
                  "default), always (also what was not seen), or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"always", "failure", "never"}).description(""));
  sub->add_option("--journal", options->journal,
                  "Append which test had which socket to a file (sets TIDEWAIT_JOURNAL)")
      ->type_name("FILE");
  sub->add_option("--json", options->json, "Write the report to a file as JSON")->type_name("FILE");
  sub->add_option("--junit", options->junit, "Write the report to a file as JUnit XML")
      ->type_name("FILE");
  sub->add_flag("--ctest-measurement", options->ctest_measurement,
                "Print the number of leaks as the CTest measurement tidewait_leaks");
  sub->add_flag(
      "--abort", options->abort,
      "End by SIGABRT instead of exit code 97, 126, 127, 2 or 3, and by the command's own "
      "signal: CTest can override an exit code, but not a signal");
  sub->add_flag(
      "--discovery", options->discovery,
      "Where COMMAND is a test program that CTest's discovery asks for its list of tests, "
      "only become it (tidewait_discover_tests() of CMake says so)");
  sub->callback([options, &status, &command] {
    if (!options->misplaced.empty()) {
      throw usage_error{"write -- in front of the command: tidewait run [options] -- " +
                        detail::joined(options->misplaced, " ")};
    }
    if (command.empty()) throw usage_error{"no command: write tidewait run [options] -- COMMAND"};
    if (options->keep_orphans && options->isolate != "no") {
      throw usage_error{"--keep-orphans and --isolate: a namespace ends with what is alive in it"};
    }
    if (options->keep_orphans && options->witness == "require") {
      throw usage_error{
          "--keep-orphans and --witness=require: processes that outlive the launcher could no "
          "longer bind"};
    }
    status = run_command(*options, command);
  });
}

}  // namespace tidewait::command
