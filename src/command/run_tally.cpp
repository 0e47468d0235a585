// SPDX-License-Identifier: BSL-1.0
#include "run_tally.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/program_tally.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/tally_text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy.hpp>

#include "become.hpp"
#include "files.hpp"

namespace tidewait::command {
namespace {

/// How much of a tally is read at most, in bytes; of a longer one the newest lines.
constexpr std::size_t most_of_a_tally = std::size_t{64} << 20U;

/// All rules of a file that may let something pass. Throws `policy_error` if it cannot be read.
std::vector<detail::tally_rule> rules_of(const std::string& file) {
  std::vector<detail::tally_rule> rules;
  const policy read = read_policy_file(file);
  for (const policy_rule& each : read.rules()) {
    if (each.action != action::fail) rules.push_back(detail::to_tally_rule(each));
  }
  return rules;
}

bool is_ctest(std::string_view program) {
  const std::string_view name = last_part(program);
  return name == "ctest" || name == "ctest.exe";
}

std::string journal_of(std::string_view tally) { return std::string{tally} + ".journal"; }

}  // namespace

bool has_journal_of_run() {
  return !detail::tally_path().empty() && journal_path() == journal_of(detail::tally_path());
}

run_tally::run_tally() {
  if (!detail::tally_path().empty()) return;
  std::string path = make_temporary("tidewait-tally");
  try {
    set_variable(detail::tally_variable, path);
  } catch (...) {
    remove_file(path);
    throw;
  }
  path_ = std::move(path);
  if (!journal_path().empty()) return;
  const std::string journal = journal_of(path_);
  try {
    set_variable(journal_variable, journal);
    journal_ = journal;
  } catch (const std::system_error&) {
    // A run without a journal reports a socket once for each program that sees it.
  }
}

run_tally::~run_tally() {
  if (!own()) return;
  remove_file(path_);
  clear_variable(detail::tally_variable);
  if (journal_.empty()) return;
  detail::shared_state::instance().journal.flush();  // not later, into a new file
  remove_file(journal_);
  clear_variable(journal_variable);
}

detail::tally run_tally::read() const {
  detail::tally all = read_tally(path_);
  if (detail::shared_state::instance().counts.lost()) all.lost = "its tally could not be written";
  return all;
}

detail::tally read_tally(const std::string& path) {
  detail::tally all;
  std::string text;
  const detail::opened_file file = detail::read_own_file(path.c_str(), text, most_of_a_tally);
  if (file.error) all.lost = "its tally could not be read: " + detail::to_text(file);
  if (text.size() + 1 >= most_of_a_tally) all.lost = "its tally had more than 64 MiB";
  for (std::string_view rest = text; !rest.empty();)
    detail::add_tally_line(detail::take_line(rest), all);
  if (all.programs.size() > all.begun) all.lost = "a program could not write to its tally";
  return all;
}

bool selects_tests(const std::vector<std::string>& ctest) {
  constexpr std::string_view selecting[] = {"-R",        "-E",      "-L",
                                            "-I",        "-F",      "--tests-",
                                            "--exclude", "--label", "--fixture-exclude",
                                            "--rerun",   "--stop",  "--show-only"};
  return std::any_of(ctest.begin() + 1, ctest.end(), [&](std::string_view argument) {
    if (argument.substr(0, 7) == "--extra") return false;
    return argument == "-N" ||
           std::any_of(std::begin(selecting), std::end(selecting), [&](std::string_view each) {
             return argument.substr(0, each.size()) == each;
           });
  });
}

bool ran_all_tests(const std::vector<std::string>& command, const detail::tally& run) {
  if (!run.lost.empty() || run.begun != run.programs.size()) return false;
  if (is_ctest(command.front())) return !selects_tests(command);
  return run.whole();
}

run_verdict judge_run(const detail::tally& run, bool whole, const std::string& command,
                      const std::vector<std::string>& spared) {
  run_verdict verdict;
  if (!run.lost.empty()) verdict.blind = "the result of the run is not known: " + run.lost;
  std::vector<detail::tally_rule> rules;
  for (const std::string& file : run.files) {
    try {
      for (detail::tally_rule& each : rules_of(file)) rules.push_back(std::move(each));
    } catch (const policy_error& error) {
      verdict.blind = error.what();
    }
  }
  for (const detail::tally_rule& each : run.rules) {
    const auto same = [&](const detail::tally_rule& other) {
      return other.file == each.file && other.rule == each.rule;
    };
    if (each.file.empty() && std::none_of(rules.begin(), rules.end(), same)) rules.push_back(each);
  }
  const auto may_be_used = [&](const detail::tally_rule& each) {
    return std::find(spared.begin(), spared.end(), each.rule) != spared.end();
  };
  rules.erase(std::remove_if(rules.begin(), rules.end(), may_be_used), rules.end());
  detail::stale_rules judged = detail::judge_rules(rules, run, whole && run.lost.empty());
  // One test, or one command, has said all that there is to say.
  if (run.tests() > 1) verdict.text = summarise(run, "tidewait known record -- " + command);
  verdict.text += summarise(judged, "tidewait known prune -- " + command, from_here);
  verdict.fixed = std::move(judged.fixed);
  return verdict;
}

std::string from_here(const std::string& path) {
  std::string here = detail::absolute_path(".");
  if (!here.empty()) here.pop_back();  // it ends in "/."
  return path.rfind(here, 0) == 0 ? path.substr(here.size()) : path;
}

}  // namespace tidewait::command
