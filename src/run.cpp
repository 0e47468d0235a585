// SPDX-License-Identifier: BSL-1.0
#include "run.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include <tidewait/detail/environment.hpp>
#include <tidewait/detail/linux/surroundings.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy_text.hpp>
#include <tidewait/port_lease.hpp>

#include "command.hpp"
#include "isolation.hpp"
#include "launcher.hpp"
#include "wrapped_command.hpp"

namespace tidewait::command {
namespace {

struct run_options {
  std::vector<std::string> misplaced;
  std::string isolate = "no";
  std::size_t ports = 0;
  std::vector<std::string> tolerate;
  std::string settle;
  std::string journal;
  std::string json;
  std::string junit;
  std::string name;
  std::vector<int> success_codes;
  bool keep_orphans = false;
  bool ctest_measurement = false;
  bool abort = false;
};

/// Our words come after the command's. That nobody reads them is no reason to fail.
void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

bool is_set(const char* variable) {
  const char* const value = detail::environment(variable);
  return value != nullptr && *value != '\0';
}

policy read_policy(const run_options& options) {
  policy rules;
  try {
    for (const std::string& each : options.tolerate) rules = parse_policy(each, std::move(rules));
    if (!options.settle.empty()) rules = parse_policy("settle=" + options.settle, std::move(rules));
  } catch (const observe_error& error) {
    throw usage_error{error.what()};
  }
  return rules;
}

/// What the report calls the command: as asked, as TIDEWAIT_TEST says, or by its command line.
std::string name_of(const run_options& options, const std::vector<std::string>& command) {
  if (!options.name.empty()) return detail::sanitised(options.name);
  if (is_set(test_variable)) return detail::test_of_environment();
  std::string_view program = command.front();
  if (const auto slash = program.rfind('/'); slash != std::string_view::npos) {
    program.remove_prefix(slash + 1);
  }
  std::string line{program};
  for (std::size_t i = 1; i < command.size(); ++i) line += ' ' + command[i];
  return detail::clipped(detail::sanitised(line), 50);
}

/// The command may run somewhere else.
std::string absolute(const std::string& path) {
  char directory[PATH_MAX];
  if (path.front() == '/' || ::getcwd(directory, sizeof directory) == nullptr) return path;
  return std::string{directory} + '/' + path;
}

/// Writes the reports that were asked for; false, and says so, if one could not be written.
bool write_reports(const run_options& options, const run_report& run) {
  bool written = true;
  const auto write = [&](const std::string& path, std::string (*text)(const run_report&)) {
    if (path.empty()) return;
    try {
      write_atomically(path, text(run));
    } catch (const std::system_error& error) {
      say(std::string{"tidewait: "} + error.what() + "; the report above is complete\n");
      written = false;
    }
  };
  write(options.json, to_json_text);
  write(options.junit, to_junit);
  if (is_set("GITHUB_ACTIONS")) say(to_github_annotation(run));
  if (options.ctest_measurement) print(to_ctest_measurement(run));
  return written;
}

/// Ends this process by a signal, without a core dump of its own.
[[noreturn]] void end_by(int signal) {
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(signal, &by_default, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  std::_Exit(128 + signal);  // one that does not end a process, such as SIGCHLD
}

/// Whether a test program is only asked which tests it has. CTest puts the launcher before the
/// program for that, too, while it builds.
bool asks_for_a_list(const std::vector<std::string>& command) {
  return std::any_of(command.begin() + 1, command.end(), [](const std::string& argument) {
    for (const char* each : {"--gtest_list_tests", "--list-tests", "--list-test-names-only",
                             "--list-reporters", "--list-listeners", "--list-tags"}) {
      if (argument == each) return true;
    }
    return false;
  });
}

/// Becomes the command. Returns only if that cannot be: the exit code.
int become(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const std::error_code error = detail::last_error();
  say("tidewait: cannot run " + command.front() + ": " + error.message() + '\n');
  return error == std::errc::no_such_file_or_directory ? 127 : 126;
}

int run(const run_options& options, std::vector<std::string> command) {
  if (asks_for_a_list(command)) return become(command);
  launch what;
  what.rules = read_policy(options);
  what.name = name_of(options, command);
  if (!options.name.empty()) ::setenv(test_variable, what.name.c_str(), 1);
  if (!options.journal.empty()) ::setenv(journal_variable, absolute(options.journal).c_str(), 1);

  isolation network;
  if (options.isolate != "no") {
    const std::string denied = network.enter();
    if (!denied.empty() && options.isolate == "require") {
      say("tidewait: " + what.name + " was not run: no network namespace of its own: " + denied +
          '\n');
      return exit_code::cannot_look;
    }
    if (!denied.empty()) say("tidewait: warning: not isolated: " + denied + '\n');
  }

  std::vector<port_lease> leases;
  if (options.ports != 0) leases = lease_ports(options.ports, transport::tcp, {});
  std::vector<std::uint16_t> numbers;
  for (const port_lease& each : leases) {
    numbers.push_back(each.number());
    for (const int lock : each.lock_descriptors()) what.inherited.push_back(lock);
  }
  hand_over_ports(command, numbers);
  what.command = std::move(command);

  process_tree tree{network.keeper()};
  if (options.keep_orphans) tree.relay_output();
  run_report result;
  try {
    result = run_and_look(what, tree);
  } catch (const std::system_error& error) {
    say(std::string{"tidewait: "} + error.what() + '\n');
    return tree.status();
  }
  say(to_text(result));
  if (!options.keep_orphans) {
    try {
      constexpr std::chrono::seconds grace{2};
      const policy rules = policy_from_environment(what.rules);
      // Nobody stays in a namespace that ends.
      const bool all = network.keeper() != 0;
      const auto killed = tree.end_all(grace, [&](const tree_process& each) {
        return !all && is_tolerated(rules, each, what.name);
      });
      if (killed != 0) {
        say("tidewait: " + std::to_string(killed) + (killed == 1 ? " process" : " processes") +
            " did not end on SIGTERM: killed\n");
      }
    } catch (const std::system_error& error) {
      say(std::string{"tidewait: "} + error.what() + '\n');
    }
  }
  const bool written = write_reports(options, result);
  if (options.abort && !result.clean()) end_by(SIGABRT);
  if (options.abort && tree.ended_by() != 0) end_by(tree.ended_by());
  const auto& also = options.success_codes;
  const bool succeeded =
      result.status == 0 || std::find(also.begin(), also.end(), result.status) != also.end();
  if (!succeeded) return result.status;
  if (!result.clean()) return exit_code::left_behind;
  return written ? result.status : exit_code::cannot_look;
}

}  // namespace

void add_run(CLI::App& app, int& status, const std::vector<std::string>& command) {
  const auto options = std::make_shared<run_options>();
  CLI::App* const sub =
      app.add_subcommand("run", "Run a command, and fail if it leaves ports or processes behind");
  sub->footer(
      "The exit code is the command's (128 + n for signal n); 97 if it succeeded and left "
      "something\n"
      "behind; 126 or 127 if it could not be started.\n"
      "\n"
      "Examples:\n"
      "  tidewait run -- ./net_tests\n"
      "  tidewait run --ports 1 -- ./smoke.sh {port:0}\n"
      "  tidewait run --isolate --junit report.xml -- ctest --test-dir build\n");
  sub->add_option("command", options->misplaced, "The command stands behind --")
      ->type_name("-- COMMAND [ARG...]");
  sub->add_flag("--isolate{prefer}", options->isolate,
                "In a network namespace of its own; where that is denied go on without "
                "(=prefer, the default) or do not run it (=require)")
      ->check(CLI::IsMember({"no", "prefer", "require"}));
  sub->add_option("--ports", options->ports,
                  "Lease N free TCP ports: {port:0} in the command, TIDEWAIT_PORT_0 around it")
      ->type_name("N");
  sub->add_option("--tolerate", options->tolerate,
                  "What may be left, as in TIDEWAIT_POLICY: time_wait, port=8080, owner=NAME, ...")
      ->type_name("RULES")
      ->allow_extra_args(false);
  sub->add_option("--settle", options->settle,
                  "How long what is about to end may take: 250ms (the default), 2s")
      ->type_name("TIME");
  sub->add_option("--name", options->name, "What the report calls the command")->type_name("NAME");
  sub->add_option("--success-codes", options->success_codes,
                  "Exit codes of the command that mean success, besides 0 (a skipped test)")
      ->type_name("N,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  sub->add_flag("--keep-orphans", options->keep_orphans,
                "Do not end the processes that the command left running");
  sub->add_option("--journal", options->journal,
                  "Append which test had which socket to a file (sets TIDEWAIT_JOURNAL)")
      ->type_name("FILE");
  sub->add_option("--json", options->json, "Write the report to a file as JSON")->type_name("FILE");
  sub->add_option("--junit", options->junit, "Write the report to a file as JUnit XML")
      ->type_name("FILE");
  sub->add_flag("--ctest-measurement", options->ctest_measurement,
                "Print how much was left, as CTest's measurement tidewait_leaks");
  sub->add_flag(
      "--abort", options->abort,
      "End by SIGABRT instead of exit code 97, and by the command's own signal: CTest can "
      "overrule an exit code");
  sub->callback([options, &status, &command] {
    if (!options->misplaced.empty()) {
      throw usage_error{"write -- in front of the command: tidewait run [options] -- " +
                        detail::joined(options->misplaced, " ")};
    }
    if (command.empty()) throw usage_error{"no command: write tidewait run [options] -- COMMAND"};
    if (options->keep_orphans && options->isolate != "no") {
      throw usage_error{"--keep-orphans and --isolate: a namespace ends with what is alive in it"};
    }
    status = run(*options, command);
  });
}

}  // namespace tidewait::command
