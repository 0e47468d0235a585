// SPDX-License-Identifier: BSL-1.0
#include "gate.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/environment.hpp>
#include <tidewait/detail/linux/owner_search.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/policy_text.hpp>
#include <tidewait/socket_table.hpp>

#include "command.hpp"
#include "marked_processes.hpp"

namespace tidewait::command {
namespace {

struct gate_options {
  std::string runs;
  std::vector<std::string> tolerate;
  bool keep_orphans = false;
};

/// The mark of the run that this gate stands around: the innermost of TIDEWAIT_RUN.
std::string own_mark() {
  const char* const marks = detail::environment(detail::run_variable);
  const std::string text = marks == nullptr ? "" : marks;
  const std::string mark = text.substr(text.rfind(':') + 1);
  if (mark.empty() || mark.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw usage_error{
        "TIDEWAIT_RUN has no mark of a run; tidewait_add_gate() of CMake sets it for CTest"};
  }
  return mark;
}

/// Names of processes that may outlive the run: rules for an owner and for nothing else.
std::vector<std::string> tolerated_names(const std::vector<std::string>& rules) {
  policy all;
  for (const std::string& each : rules) all = parse_policy(each, std::move(all));
  all = policy_from_environment(std::move(all));
  std::vector<std::string> names;
  for (const policy_rule& rule : all.rules()) {
    if (rule.owner.empty() || rule.state || rule.ports || !rule.test.empty()) continue;
    names.erase(std::remove(names.begin(), names.end(), rule.owner), names.end());
    if (rule.action != action::fail) names.push_back(rule.owner);
  }
  return names;
}

/// What those processes listen on, by pid.
std::vector<std::pair<int, std::string>> find_listeners() {
  socket_query query;
  query.states = socket_state::listen | socket_state::bound | socket_state::close;
  query.owners = owner_reach::everyone;
  std::error_code blind;
  std::vector<std::pair<int, std::string>> listeners;
  for (const socket_entry& socket : socket_table::current(query, blind).sockets) {
    const std::string kind = socket.protocol == protocol::udp      ? "UDP "
                             : socket.state == socket_state::bound ? "bound "
                                                                   : "";
    for (const process& owner : socket.owners) {
      listeners.emplace_back(owner.pid, kind + to_string(socket.local));
    }
  }
  return listeners;
}

std::string render(const std::vector<marked_process>& alive) {
  constexpr std::size_t most_rows = 12;
  const auto listeners = find_listeners();
  detail::text_table table{{"pid", "started by the test", "listens on", "command"}};
  for (std::size_t i = 0; i < alive.size() && i < most_rows; ++i) {
    std::vector<std::string> places;
    for (const auto& [pid, place] : listeners) {
      if (pid == alive[i].pid) places.push_back(place);
    }
    if (places.size() > 2) places = {places[0], std::to_string(places.size() - 1) + " more"};
    const std::string_view command =
        alive[i].command.empty() ? alive[i].name : detail::without_directory(alive[i].command);
    table.add({std::to_string(alive[i].pid), alive[i].test.empty() ? "-" : alive[i].test,
               places.empty() ? "-" : detail::joined(places, ", "), detail::clipped(command, 44)});
  }
  std::string text = '\n' + table.render("  ", 100);
  if (alive.size() > most_rows) {
    text += "  and " + std::to_string(alive.size() - most_rows) + " more\n";
  }
  return text + '\n';
}

/// Reports what of that run is alive, and ends it. Returns whether anything was, and sets `ended`.
bool clear_away(const std::string& mark, const std::string& whose, const gate_options& options,
                bool& ended) {
  const auto names = tolerated_names(options.tolerate);
  ended = true;
  std::vector<marked_process> alive = find_marked(mark);
  alive.erase(std::remove_if(alive.begin(), alive.end(),
                             [&](const marked_process& each) {
                               return std::find(names.begin(), names.end(), each.name) !=
                                      names.end();
                             }),
              alive.end());
  if (alive.empty()) return false;
  say("tidewait: " + whose + " left " + detail::counted(alive.size(), "process") + " alive\n" +
      render(alive));
  if (options.keep_orphans) {
    say("  not ended, as --keep-orphans says\n");
    return true;
  }
  constexpr std::chrono::seconds grace{2};
  const auto survivors = end_marked(mark, names, grace);
  ended = survivors.empty();
  if (ended) {
    say(std::string{"  ended: "} + (alive.size() == 1 ? "it is" : "they are") + " gone now\n");
  } else {
    say("  could not be ended, not even by SIGKILL:\n" + render(survivors));
  }
  return true;
}

std::string run_file(const gate_options& options, const std::string& mark) {
  return options.runs + '/' + mark;
}

/// Notes that the process `pid` runs, so that a later run can tell whether it was interrupted.
void note_run(const std::string& path, int pid) {
  const detail::unique_fd file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  const std::string text = std::to_string(pid) + ' ' + start_of(pid) + '\n';
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::system_error{errno, std::system_category(), "writing " + path};
  }
}

bool still_runs(const std::string& path) {
  std::string text;
  if (detail::read_file(AT_FDCWD, path.c_str(), text)) return false;
  std::string_view rest = std::string_view{text}.substr(0, text.find('\n'));
  const auto pid = detail::parse_pid(detail::take_word(rest));
  const std::string_view start = detail::take_word(rest);
  return pid && !start.empty() && start_of(*pid) == start;
}

/// Before the tests: what did runs leave that were interrupted, and so never came to their end?
int begin(const gate_options& options) {
  const std::string mark = own_mark();
  std::vector<std::string> earlier;
  const auto error =
      detail::for_each_name(AT_FDCWD, options.runs.c_str(), [&](int, const char* name) {
        if (mark != name && !still_runs(run_file(options, name))) earlier.emplace_back(name);
      });
  if (error) throw std::system_error{error, "reading " + options.runs};
  bool all_ended = true;
  for (const std::string& each : earlier) {
    bool ended = true;
    clear_away(each, "an earlier run that was interrupted", options, ended);
    if (ended) ::unlink(run_file(options, each).c_str());
    all_ended = all_ended && ended;
  }
  note_run(run_file(options, mark), ::getppid());
  if (const auto denied = put_mark_limit(::getppid(), mark)) {
    say("tidewait: note: a server that writes over its environment will not be seen to be of this "
        "run: " +
        denied.message() + '\n');
  }
  return all_ended ? exit_code::fine : exit_code::bad;
}

/// After the tests: nothing that they started is alive.
int end(const gate_options& options) {
  const std::string mark = own_mark();
  bool ended = true;
  const bool left = clear_away(mark, "this run of the tests", options, ended);
  if (ended) ::unlink(run_file(options, mark).c_str());
  return left ? exit_code::bad : exit_code::fine;
}

}  // namespace

void add_gate(CLI::App& app, int& status) {
  const auto options = std::make_shared<gate_options>();
  CLI::App* const gate = app.add_subcommand(
      "gate", "Around a whole run of tests: fail if a process that it started is alive at its end");
  gate->require_subcommand(1);
  gate->footer(
      "tidewait_add_gate() of CMake has CTest call it. The processes of a run carry its mark in\n"
      "TIDEWAIT_RUN of their environment and in a resource limit. Exit code 0: nothing is alive;\n"
      "1: something was.\n"
      "\n"
      "Examples:\n"
      "  tidewait gate begin --runs build/runs\n"
      "  tidewait gate end --runs build/runs\n");
  const auto add = [&](const char* name, const char* what, int (*act)(const gate_options&)) {
    CLI::App* const sub = gate->add_subcommand(name, what);
    sub->add_option("--runs", options->runs,
                    "The directory of notes on the runs that are under way")
        ->required()
        ->type_name("DIR");
    sub->add_option("--tolerate", options->tolerate,
                    "Who may stay alive, as in TIDEWAIT_POLICY: owner=NAME")
        ->type_name("RULES")
        ->allow_extra_args(false);
    sub->add_flag("--keep-orphans", options->keep_orphans, "Do not end what is alive");
    sub->callback([options, act, &status] { status = act(*options); });
  };
  add("begin", "Before the tests: report and end what interrupted runs left", begin);
  add("end", "After the tests: report and end what they left", end);
}

}  // namespace tidewait::command
