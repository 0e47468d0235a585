// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/policy_line.hpp>
#include <tidewait/detail/tally.hpp>
#include <tidewait/detail/tally_text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The path of the tally of this run; empty if there is none.
inline std::string tally_path() {
  const char* const path = environment(tally_variable);
  return path == nullptr ? "" : path;
}

inline tally_rule to_tally_rule(const policy_rule& rule) {
  return {sanitised(to_string(rule)), sanitised(rule.file), rule.line,
          !rule.test.empty() || !rule.tag.empty(), false};
}

/// Reads TIDEWAIT_POLICY once for each text that it has, and each file of rules once.
class environment_policy {
 public:
  /// The rules of the variable. Throws as `policy_from_environment`.
  policy read() {
    const char* const variable = environment(policy_variable);
    const std::string text = variable == nullptr ? "" : variable;
    const std::lock_guard hold{mutex_};
    if (text_ != text) {
      rules_ = {};
      flaw_.reset();
      try {
        rules_ = parse_policy(text);
      } catch (const policy_error& error) {
        flaw_ = error;
      }
      text_ = text;
    }
    if (flaw_) throw policy_error{*flaw_};
    return rules_;
  }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.

 private:
  std::mutex mutex_{};
  std::string text_{};
  policy rules_{};
  std::optional<policy_error> flaw_{};
};

/// What the looks of this process came to. At its end it goes into the tally of the run, if there
/// is one; otherwise it is printed.
class program_tally {
 public:
  /// A watch begins. The tally of the run says so, even if the program crashes: it may have used
  /// rules that it could not report.
  void watching() {
    const std::lock_guard hold{mutex_};
    begin();
  }
  /// A test was looked after; `to_its_end`: it was neither skipped nor cut short by a failure.
  void looked_after(const test_id& test, bool to_its_end) {
    const std::lock_guard hold{mutex_};
    begin();
    if (test.is_test && !test.name.empty()) tests_.insert(test.name);
    if (to_its_end) complete_.push_back(test);
  }
  void add(tally_finding found) {
    const std::lock_guard hold{mutex_};
    begin();
    found.ctest_name = test_of_environment();
    found.program = program_name();
    all_.findings.push_back(std::move(found));
    if (!tally_path().empty()) append(to_tally_line(all_.findings.back()));
  }
  /// Rules that may let nothing pass: those of files, and all of a policy that is audited.
  void know(const policy& rules) {
    const std::lock_guard hold{mutex_};
    // Each test comes with the same rules.
    if (&known_from_.rules() == &rules.rules() && known_from_.audited() == rules.audited()) return;
    known_from_ = rules;
    for (const policy_rule& each : rules.rules()) {
      if (each.action == action::fail || (each.file.empty() && !rules.audited())) continue;
      if (!known_.insert(each.file + '\n' + to_string(each)).second) continue;
      rules_.push_back(each);
      if (!each.file.empty()) all_.files.insert(sanitised(each.file));
    }
  }
  /// The first test with a finding of this kind; empty if it is this one, for the first time.
  std::string first_with(const std::string& kind, const std::string& test) {
    const std::lock_guard hold{mutex_};
    const auto [place, is_new] = kinds_.emplace(kind, test);
    return is_new || place->second.empty() ? std::string{} : place->second;
  }
  /// The framework has run all the tests that the program has, of which none is left for another
  /// process.
  void ran_all_tests(bool whole) {
    const std::lock_guard hold{mutex_};
    whole_ = whole;
  }
  /// The last line of the program: why its exit code is not what the framework says.
  void say_last(std::string line) {
    const std::lock_guard hold{mutex_};
    begin();
    last_line_ = std::move(line);
  }
  /// The adapter calls `end`, later than the functions of std::atexit().
  void end_later() {
    const std::lock_guard hold{mutex_};
    ends_later_ = true;
  }
  /// This program is `tidewait run`: it concludes and prints itself, once it has corrected what
  /// the look found.
  bool launcher = false;

  void end() {
    const std::lock_guard hold{mutex_};
    if (pid_ != process_id()) return;
    judge_tests();
    if (!tally_path().empty()) {
      append(end_of_tally(all_));
    } else if (!launcher) {
      // Of one test that left something the report has said all.
      const std::string summary =
          is_about_one_test() ? "" : summarise(all_, "tidewait known record -- COMMAND");
      print(summary + describe_rules());
    }
    if (!last_line_.empty()) print(sanitised_lines("tidewait: " + last_line_ + '\n'));
    pid_ = 0;
  }

  /// In a child of fork(), with the mutex held.
  void forget() {
    all_ = {};
    tests_.clear();
    complete_.clear();
    last_line_.clear();
    pid_ = 0;
  }
  std::mutex& mutex() noexcept { return mutex_; }  ///< For a fork.
  /// Something could not be written to the tally of the run.
  bool lost() {
    const std::lock_guard hold{mutex_};
    return lost_;
  }

 private:
  static void at_exit();

  void begin() {
    if (pid_ == process_id()) return;
    pid_ = process_id();
    if (!tally_path().empty()) append(begin_of_tally());
    if (!std::exchange(registered_, true)) std::atexit(&program_tally::at_exit);
  }
  void append(const std::string& lines) {
    const opened_file file = append_own_file(tally_path().c_str(), lines);
    if (!file.error || std::exchange(lost_, true)) return;
    print("tidewait: writing the tally of the run, " + sanitised(tally_path()) + ": " +
          to_text(file) + "; its summary is not complete\n");
  }
  static void print(const std::string& text) {
    if (text.empty()) return;
    std::fflush(stdout);
    std::fputs(text.c_str(), stderr);
  }
  bool is_about_one_test() const {
    const auto of_another = [this](const tally_finding& each) {
      return each.test != all_.findings.front().test || each.verdict == tally_verdict::passed;
    };
    return tests_.size() < 2 &&
           std::none_of(all_.findings.begin(), all_.findings.end(), of_another);
  }
  /// Which rules had a test that ran.
  void judge_tests() {
    all_.programs = {{test_of_environment(), tests_.size(), whole_, launcher}};
    all_.rules.clear();
    for (const policy_rule& each : rules_) {
      tally_rule rule = to_tally_rule(each);
      rule.ran =
          rule.names_test && std::any_of(complete_.begin(), complete_.end(),
                                         [&](const test_id& test) { return concerns(each, test); });
      // The reader of the tally reads the files of rules itself.
      if (rule.ran || each.file.empty()) all_.rules.push_back(std::move(rule));
    }
  }
  /// The rules that are known to be of no use to this program, and so to any: those of one test by
  /// its name. What else can go is known at the end of a run of all programs. CTest runs programs
  /// test by test.
  std::string describe_rules() const {
    if (!whole_ || environment("CTEST_INTERACTIVE_DEBUG_MODE") != nullptr) return {};
    std::vector<tally_rule> rules;
    for (const policy_rule& each : rules_) {
      const bool one_test =
          !each.test.empty() && each.test.find_first_of("*?") == std::string::npos;
      if (one_test && !each.file.empty()) rules.push_back(to_tally_rule(each));
    }
    std::string here = absolute_path(".");
    if (!here.empty()) here.pop_back();  // it ends in "/."
    return summarise(judge_rules(rules, all_, false), "", [&here](const std::string& file) {
      return file.rfind(here, 0) == 0 ? file.substr(here.size()) : file;
    });
  }

  std::mutex mutex_{};
  tally all_{};
  std::set<std::string> tests_{};
  std::vector<test_id> complete_{};
  std::vector<policy_rule> rules_{};
  std::set<std::string> known_{};
  policy known_from_{};
  std::map<std::string, std::string> kinds_{};  // the first test with each
  std::string last_line_{};
  int pid_ = 0;
  bool whole_ = false;
  bool registered_ = false;
  bool ends_later_ = false;
  bool lost_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
