// SPDX-License-Identifier: BSL-1.0
#include "gate.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/clocks.hpp>
#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/safe_file.hpp>
#include <tidewait/detail/linux/socket_directory.hpp>
#include <tidewait/detail/look_at_sockets.hpp>
#include <tidewait/detail/program_tally.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/socket_table.hpp>

#include "command.hpp"
#include "marked_processes.hpp"
#include "report_output.hpp"
#include "run_notes.hpp"
#include "run_tally.hpp"

namespace tidewait::command {
namespace {

struct gate_options {
  std::string runs;
  std::vector<std::string> tolerate;
  bool keep_orphans = false;
  std::vector<std::string> journals;
  std::string report;
  bool strict = false;
};

/// The mark of the run that this gate stands around: the innermost of TIDEWAIT_RUN.
std::string own_mark() {
  const char* const marks = detail::environment(detail::run_variable);
  const std::string text = marks == nullptr ? "" : marks;
  const std::string mark = text.substr(text.rfind(':') + 1);
  if (!is_mark(mark)) {
    throw usage_error{
        "TIDEWAIT_RUN does not end in the mark of a run, 16 of the digits 0-9 and a-f; "
        "tidewait_add_gate() of CMake sets it for CTest"};
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
    if (rule.owner.empty() || rule.state || rule.ports || !rule.path.empty() || !rule.test.empty())
      continue;
    names.erase(std::remove(names.begin(), names.end(), rule.owner), names.end());
    if (rule.action != action::fail) names.push_back(rule.owner);
  }
  return names;
}

void say_note(const std::string& text) { say("tidewait: note: " + text + '\n'); }

/// What those processes listen on, by pid.
std::vector<std::pair<int, std::string>> find_listeners() try {
  socket_query query;
  query.states = socket_state::listen | socket_state::bound | socket_state::unconn;
  query.owners = owner_reach::everyone;
  std::vector<std::pair<int, std::string>> listeners;
  for (const observed_socket& socket : detail::look_at_sockets(query).sockets) {
    const std::string kind = socket.protocol == protocol::udp      ? "UDP "
                             : socket.state == socket_state::bound ? "bound "
                                                                   : "";
    for (const process& owner : socket.owners) {
      listeners.emplace_back(owner.pid, kind + to_string(socket.local));
    }
  }
  return listeners;
} catch (const std::exception& error) {
  // It must not keep anybody from being ended.
  say_note(std::string{"what they listen on cannot be seen: "} + error.what());
  return {};
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

/// Whether a run left something alive, and whether any of it still is.
struct clearance {
  bool left = false;
  bool all_ended = true;
  std::string unread;  ///< Why that is not known of all processes.
};

/// Says what was seen and is not judged.
void say_unjudged(const marked_processes& found) {
  for (const marked_process& each : found.foreign) {
    say_note("pid " + std::to_string(each.pid) + " (" + each.name +
             ") has the mark of the run, but uid " + std::to_string(each.uid) +
             " runs it, and nothing shows that the run started it: not judged, not "
             "signalled (Operation not permitted)");
  }
  for (const std::string& each : found.too_large) {
    say_note("the environment of " + each + " is too large to be searched whole");
  }
}

/// "pid 12 (sudo), which runs as uid 0: Operation not permitted".
std::string why_alive(const marked_process& survivor) {
  std::string text = "pid " + std::to_string(survivor.pid) + " (" + survivor.name + ')';
  if (survivor.whose != attribution::own)
    text += ", which runs as uid " + std::to_string(survivor.uid);
  return text + ": " + (survivor.error ? survivor.error.message() : "it survived SIGKILL");
}

void say_survivors(const marked_processes& left) {
  if (left.alive.empty()) {
    say("  not all terminated: one starts another and ends, faster than it can be signalled\n");
    return;
  }
  constexpr std::size_t most_rows = 12;
  say("  could not be terminated:\n");
  for (std::size_t i = 0; i < left.alive.size() && i < most_rows; ++i) {
    say("    " + why_alive(left.alive[i]) + '\n');
  }
  if (left.alive.size() > most_rows) {
    say("    and " + std::to_string(left.alive.size() - most_rows) + " more\n");
  }
}

/// Reports what of that run is alive, and ends it.
clearance clear_away(const marked_search& search, const std::string& whose,
                     const gate_options& options) {
  const marked_processes found = find_marked(search);
  say_unjudged(found);
  clearance result;
  result.unread = found.unread;
  result.all_ended = found.unread.empty();
  if (found.alive.empty() && !found.fleeting) return result;
  result.left = true;
  if (found.alive.empty()) {
    say("tidewait: " + whose +
        " left a process alive that starts another and ends, again "
        "and again, too fast to be shown\n");
  } else {
    say("tidewait: " + whose + " left " + detail::counted(found.alive.size(), "process") +
        " alive\n" + render(found.alive));
  }
  if (options.keep_orphans) {
    say("  left running (--keep-orphans)\n");
    return result;
  }
  constexpr std::chrono::seconds grace{2};
  const marked_processes left = end_marked(search, grace);
  const bool ended = left.alive.empty() && !left.fleeting;
  result.all_ended = ended && left.unread.empty();
  result.unread = left.unread;
  if (ended) {
    say("  terminated\n");
  } else {
    say_survivors(left);
  }
  return result;
}

/// The tally of a run, which gate.cmake names in TIDEWAIT_TALLY.
std::string tally_of(const gate_options& options, const std::string& mark) {
  return options.runs + "/tally-" + mark + ".jsonl";
}

/// Makes it, empty: where it is missing at the end, what the programs wrote is not known.
void make_tally(const gate_options& options, const std::string& mark) {
  const std::string path = tally_of(options, mark);
  if (detail::tally_path() != path) return;
  ::unlink(path.c_str());
  const detail::opened_file made = detail::append_own_file(path.c_str(), "");
  if (made.error) {
    throw std::runtime_error{"making the tally of the run, " + detail::sanitised(path) + ": " +
                             to_text(made)};
  }
}

void remove_tally(const gate_options& options, const std::string& mark) {
  ::unlink(tally_of(options, mark).c_str());
}

/// The command line of the ctest whose tests these are; empty if it cannot be seen.
std::vector<std::string> command_line_of_ctest() {
  std::error_code error;
  for (const int pid : detail::own_line(error)) {
    const detail::unique_fd process = detail::open_process(pid);
    if (detail::read_process_name(process.get()) != "ctest") continue;
    std::vector<std::string> command;
    std::string text;
    if (detail::read_of_memory(process.get(), "cmdline", text, 65536)) return {};
    for (std::size_t at = 0; at < text.size();) {
      command.emplace_back(text.c_str() + at);
      at += command.back().size() + 1;
    }
    return command;
  }
  return {};
}

/// Says what all tests of the run came to, unless a run around this one does.
run_verdict judge_tests(const std::string& mark, const gate_options& options) {
  const std::string path = tally_of(options, mark);
  if (detail::tally_path() != path) return {};
  const detail::tally run = read_tally(path);
  ::unlink(path.c_str());
  const std::vector<std::string> ctest = command_line_of_ctest();
  // Which of these rules have let a process stay alive, now or in a test, is not known.
  std::vector<std::string> spared;
  for (const std::string& each : tolerated_names(options.tolerate)) {
    policy_rule rule;
    rule.owner = each;
    spared.push_back(detail::sanitised(to_string(rule)));
  }
  const bool whole = !ctest.empty() && ran_all_tests(ctest, run);
  run_verdict verdict = judge_run(run, whole, "ctest", spared);
  say(verdict.text);
  return verdict;
}

/// Marks the process that has started this run, for all that it starts. Says why it could not.
std::string mark_starter(const run_note& run, const std::string& mark) {
  if (run.pid == 0) {
    return std::string{"the process that started the run cannot be seen, or has ended"} +
           (::getppid() == 1 ? "; the parent of this gate is process 1, which adopts orphans: if "
                               "it started the run, give the container an init (docker run "
                               "--init)"
                             : "");
  }
  const std::error_code denied = put_mark_limit(run.pid, run.start, mark);
  return denied ? denied.message() : "";
}

/// Before the tests: what did runs leave that were interrupted, and so never came to their end?
int begin(const gate_options& options) {
  const std::string mark = own_mark();
  const auto names = tolerated_names(options.tolerate);
  // Before all that takes time: if ctest ends meanwhile, another process is the parent.
  const run_note own = note_of_this_run();
  const run_notes notes{options.runs};
  const run_list earlier = notes.others(mark);
  for (const std::string& each : earlier.unjudged) {
    say_note("left alone in the directory of runs: " + each);
  }
  for (const std::string& each : earlier.over) {
    notes.remove(each);
    remove_tally(options, each);
  }
  bool all_ended = true;
  std::string unread;
  for (const std::string& each : earlier.interrupted) {
    const clearance done =
        clear_away({each, names}, "an earlier run that was interrupted", options);
    if (done.all_ended) notes.remove(each);
    remove_tally(options, each);
    all_ended = all_ended && done.all_ended;
    if (unread.empty()) unread = done.unread;
  }
  notes.write(mark, own);
  make_tally(options, mark);
  detail::remove_ended_socket_directories();
  const std::string unmarked = mark_starter(own, mark);
  if (!unmarked.empty()) {
    say_note("a server that writes over its environment will not be seen to be of this run: " +
             unmarked);
  }
  if (!unread.empty()) throw std::runtime_error{unread};
  return all_ended ? exit_code::fine : exit_code::bad;
}

/// Writes the report on the ports of this run, and says where it is if anything was found. What is
/// wrong with a journal fails no run.
void write_report(const gate_options& options, const std::optional<run_note>& note) {
  if (options.report.empty() || !note) return;
  constexpr std::uint64_t milli = 1000;
  const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  const std::uint64_t since = detail::boot_time() + note->start * milli / ticks;
  journal_report report;
  std::vector<std::string> there;
  for (const std::string& each : options.journals) {
    if (::access(each.c_str(), F_OK) == 0) there.push_back(each);
  }
  make_report(there, std::max(1U, std::thread::hardware_concurrency()), report,
              static_cast<report_time>(since * milli));
  if (report.summary.findings.empty()) return;
  if (const auto error = detail::replace_file(options.report, to_html(report))) {
    say_note("writing " + options.report + ": " + error.message());
    return;
  }
  say("tidewait: " + detail::counted(report.summary.findings.size(), "finding") +
      " on the ports of this run: see " + options.report + '\n');
}

/// After the tests: nothing that they started is alive.
int end(const gate_options& options) {
  const std::string mark = own_mark();
  const auto names = tolerated_names(options.tolerate);
  // What was left is ended even where there is no directory; but then it was not all looked at.
  std::optional<run_notes> notes;
  std::string blind;
  std::optional<run_note> note;
  const marked_search search{mark, names};
  try {
    notes.emplace(options.runs);
    note = notes->find(mark);
  } catch (const std::exception& error) {
    blind = error.what();
  }
  const clearance done = clear_away(search, "this run of the tests", options);
  detail::remove_ended_socket_directories();
  write_report(options, note);
  if (blind.empty()) blind = done.unread;
  if (!blind.empty()) throw std::runtime_error{blind};
  if (done.all_ended) notes->remove(mark);
  const run_verdict verdict = judge_tests(mark, options);
  if (done.left || (options.strict && !verdict.fixed.empty())) return exit_code::bad;
  if (options.strict && !verdict.blind.empty()) {
    throw std::runtime_error{"--strict: the rules could not be judged: " + verdict.blind};
  }
  return exit_code::fine;
}

}  // namespace

void add_gate(CLI::App& app, int& status) {
  const auto options = std::make_shared<gate_options>();
  CLI::App* const gate = app.add_subcommand(
      "gate", "Fail a test run if a process it started is still running at the end");
  gate->require_subcommand(1);
  gate->footer(
      "tidewait_add_gate() of CMake has CTest call it. The processes of a run carry its mark in\n"
      "TIDEWAIT_RUN of their environment and in a resource limit. Exit code 0: nothing is alive;\n"
      "1: something was; 2: TIDEWAIT_RUN has no mark; 3: could not look.\n"
      "\n"
      "Examples:\n"
      "  tidewait gate begin --runs build/runs\n"
      "  tidewait gate end --runs build/runs\n");
  const auto add = [&](const char* name, const char* what, int (*act)(const gate_options&)) {
    CLI::App* const sub = gate->add_subcommand(name, what);
    sub->add_option("--runs", options->runs,
                    "The directory of notes on the runs that are under way: your own, and nobody "
                    "else may write to it")
        ->required()
        ->type_name("DIR");
    sub->add_option("--tolerate", options->tolerate,
                    "Who may stay alive, as in TIDEWAIT_POLICY: owner=NAME")
        ->type_name("RULES")
        ->allow_extra_args(false);
    sub->add_flag("--strict", options->strict,
                  "Fail if a rule of known findings let nothing pass in the whole run");
    sub->add_flag("--keep-orphans", options->keep_orphans, "Report only, end nothing");
    sub->add_option("--journal", options->journals,
                    "A journal that tests of the run may have written")
        ->type_name("FILE")
        ->allow_extra_args(false);
    sub->add_option("--report", options->report,
                    "At the end, write the page of `tidewait report` on this run to a file, and "
                    "print its name, if there are findings")
        ->type_name("FILE");
    sub->callback([options, act, &status] { status = act(*options); });
  };
  add("begin", "Before the tests: end what interrupted runs left, and report it", begin);
  add("end", "After the tests: end what they left, and report it", end);
}

}  // namespace tidewait::command
