// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <tidewait/detail/explain_socket.hpp>
#include <tidewait/detail/other_tests.hpp>
#include <tidewait/detail/process/backoff.hpp>
#include <tidewait/detail/process/readiness.hpp>
#include <tidewait/detail/process/server_backend.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/server_exit.hpp>

namespace tidewait {
inline namespace v0 {
namespace process_impl {
using namespace detail;

inline std::string indented(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    lines += line.empty() ? "\n" : "  " + std::string{line} + '\n';
  }
  return lines;
}

inline std::string list_processes(const std::vector<process>& all) {
  std::vector<std::string> names;
  constexpr std::size_t most = 8;
  for (const process& each : all) {
    if (names.size() < most || all.size() == most + 1) names.push_back(name_of(each));
  }
  const std::string more = names.size() < all.size()
                               ? " and " + std::to_string(all.size() - names.size()) + " more"
                               : "";
  return joined(names, ", ") + more;
}

/// The error of a server that has ended while something else was expected of it.
[[noreturn]] inline void throw_ended(const server_run& run, const std::string& doing,
                                     const std::string& more = {}) {
  // Its last words are on the way; a descendant that holds the pipe must not keep us.
  std::uint64_t from = 0;
  for (backoff time{milliseconds{500}}; !run.output().read(from).finished && !time.over();) {
    time.pause();
  }
  std::string cause = "it ended with " + to_string(run.leader_exit().value_or(server_exit{}));
  const auto processes = run.processes();
  if (!processes.empty() && !run.options().is_daemon()) {
    std::vector<process> rest;
    for (const living_process& each : processes) rest.push_back(describe(each));
    cause += "; " + list_processes(rest) +
             " goes on without it: if the program puts itself into the background, say "
             "server_options::daemon()";
  }
  throw server_error{errc::server_ended, doing, cause,
                     indented(render_output(run.output())) + more};
}

inline void await_listening(const server_run& run, const std::vector<listen_target>& targets,
                            milliseconds timeout) {
  std::vector<std::string> names;
  for (const listen_target& each : targets) names.push_back(to_string(each));
  const std::string doing = "waiting for " + run.title() + " to listen on " + joined(names, ", ");
  // A stranger may be on its way out: it is accused only if it stays.
  constexpr milliseconds benefit_of_doubt{250};
  std::optional<backoff> doubt;
  backoff time{timeout};
  for (;;) {
    const bool over = run.over();  // before the look, so that a late listener still counts
    const readiness found = look_for(targets, run);
    if (found.now == readiness::stage::ready) {
      shared_state& shared = shared_state::instance();
      return write_journal(shared, journal_event::listening, found.sockets, current_test(shared));
    }
    const auto explained = [&] {
      return found.where ? indented(explain_target(*found.where, found.protocol)) : std::string{};
    };
    if (over) throw_ended(run, doing, explained());
    const bool stranger = found.now == readiness::stage::stranger;
    if (!stranger) {
      doubt.reset();
    } else if (!doubt) {
      doubt.emplace(benefit_of_doubt);
    }
    if ((stranger && doubt->over()) || time.over()) {
      std::string cause = found.why;
      if (found.now == readiness::stage::not_yet) {
        const std::string instead = where_instead(run);
        cause += " after " + to_text(timeout) + (instead.empty() ? "" : "; " + instead);
      }
      throw server_error{stranger ? make_error_code(errc::foreign_listener)
                                  : std::make_error_code(std::errc::timed_out),
                         doing, cause, indented(render_output(run.output())) + explained()};
    }
    time.pause();
  }
}

/// `matches` is given the first 1000 bytes of each line: the matcher of libstdc++ recurses once per
/// character.
inline std::string await_output(const server_run& run,
                                const std::function<bool(std::string_view)>& matches,
                                milliseconds timeout, const std::string& name = {}) {
  constexpr std::size_t most_of_a_line = 1000;
  const std::string doing = "waiting for " + run.title() + " to print " +
                            (name.empty() ? "what was asked for" : '"' + name + '"');
  std::uint64_t from = 0;
  std::uint64_t missed = 0;
  for (backoff time{timeout};; time.pause()) {
    const bool over = run.over();
    const output_buffer::piece piece = run.output().read(from);
    missed += piece.missed;
    for (std::string_view rest = piece.text; !rest.empty();) {
      const std::string_view line = take_line(rest);
      if (matches(line.substr(0, most_of_a_line))) return std::string{line};
    }
    const std::string gap =
        missed == 0 ? std::string{}
                    : std::to_string(missed) +
                          " bytes of output were dropped unread: see server_options::keep_output";
    if (over && piece.finished) throw_ended(run, doing, indented(gap));
    if (time.over()) {
      throw server_error{std::make_error_code(std::errc::timed_out), doing,
                         "no such line after " + to_text(timeout) + (gap.empty() ? "" : "; " + gap),
                         indented(render_output(run.output()))};
    }
  }
}

inline void await_exit(const server_run& run, milliseconds timeout) {
  for (backoff time{timeout}; !run.over(); time.pause()) {
    if (!time.over()) continue;
    throw server_error{
        std::make_error_code(std::errc::timed_out), "waiting for " + run.title() + " to end",
        "it runs on after " + to_text(timeout), indented(render_output(run.output()))};
  }
}

/// What the destructor has to say, the first line complete alone.
inline std::string describe_end(const server_run& run, const server_exit& end,
                                const source_location& where) {
  std::vector<std::string> parts;
  if (end.by_itself || end.crashed) {
    parts.push_back(
        (end.by_itself ? "had ended by itself with " : "crashed when it was stopped: ") +
        to_string(end));
  }
  if (!end.killed.empty()) {
    parts.push_back("did not end within " + to_text(run.options().grace()) + " of " +
                    asked_by(run.options().stop_signal()) +
                    ", so it was killed: " + list_processes(end.killed));
  }
  if (!end.escaped.empty()) {
    parts.push_back("had left its process group with " + list_processes(end.escaped) +
                    (end.escaped.size() == 1 ? ", which was ended" : ", which were ended"));
  }
  if (!end.not_permitted.empty()) {
    parts.push_back("could not be ended: " + list_processes(end.not_permitted) + ": " +
                    std::make_error_code(std::errc::operation_not_permitted).message());
  }
  if (!end.survivors.empty()) {
    parts.push_back("could not be killed: " + list_processes(end.survivors));
  }
  if (end.uncertain) {
    parts.push_back(
        "may still have descendants that could not be seen, or that fork and exit too fast to be "
        "caught");
  }
  std::string text = run.title();
  if (where.line != 0) text += ", started at " + to_text(where) + ',';
  return text + ' ' + joined(parts, "; it ") + '\n' + render_output(run.output());
}

/// Gives it to the next look, or says it here if there will be none.
inline void hand_in(const std::string& incident) {
  if (hand_in_incident(shared_state::instance(), incident)) return;
  report found;
  found.incidents = {incident};
  std::fputs(render(found).c_str(), stderr);
}

}  // namespace process_impl
}  // namespace v0
}  // namespace tidewait
