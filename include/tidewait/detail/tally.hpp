// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/test_name.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The environment variable that names the tally of a run: a file to which each of its processes
/// adds what its looks found and which rules they used. `tidewait run` makes it, and reads it at
/// the end.
inline constexpr const char* tally_variable = "TIDEWAIT_TALLY";

enum class tally_verdict : std::uint8_t {
  failed,
  warned,
  passed,    ///< By a rule.
  harmless,  ///< A TIME_WAIT that blocks no later bind.
};
inline constexpr std::string_view tally_verdicts[] = {"failed", "warned", "passed", "harmless"};

/// Sockets in one state that one test left on one port, or a process.
struct tally_finding {
  tally_verdict verdict = tally_verdict::failed;
  std::string test{};        ///< As its watch calls it,
  std::string ctest_name{};  ///< and CTest (TIDEWAIT_TEST); may be empty.
  std::string program{};     ///< Whose test it is; `program_tally` fills in these two.
  std::string kind{};   ///< "LISTEN", "LISTEN and TIME_WAIT", "a process"; empty: beside sockets.
  std::string port{};   ///< "8080"; empty for a number that was chosen for the test.
  std::string place{};  ///< "127.0.0.1:8080", or the name of the process.
  std::size_t count = 1;
  std::string fix{};   ///< What to do, or what went wrong; may be empty.
  std::string rule{};  ///< Which rule decided; empty: none.
  std::string file{};  ///< That has the rule; empty: none.
};

/// Whose a finding is: a name, and what has several tests of that name apart. Two programs may have
/// the same test, and CTest may run one program under two names.
using tally_subject = std::pair<std::string, std::string>;

inline tally_subject subject_of(const tally_finding& found) {
  if (found.ctest_name.empty()) return {found.test, found.program};
  if (ctest_name_says_all(found.ctest_name, found.test)) return {found.ctest_name, ""};
  return {found.test, found.ctest_name};
}

/// A rule of which it is known whether a test that it is about has run to its end.
struct tally_rule {
  std::string rule;
  std::string file;         ///< Empty: it is not in a file.
  std::size_t line = 0;     ///< There.
  bool names_test = false;  ///< It has test= or tag=.
  bool ran = false;         ///< Such a test has run.
};

/// A program that has come to its end.
struct tally_program {
  std::string ctest_name;  ///< TIDEWAIT_TEST; may be empty.
  std::size_t tests = 0;   ///< That it looked after.
  bool whole = false;      ///< It has run all tests that it has.
  bool launcher = false;   ///< It has run another program, which may have looked itself.
};

/// The text without its numbers, which differ in what is alike: pids, descriptors, ports.
inline std::string without_numbers(std::string text) {
  const auto is_digit = [](char each) { return each >= '0' && each <= '9'; };
  text.erase(std::remove_if(text.begin(), text.end(), is_digit), text.end());
  return text;
}

/// What the looks of a program, or of all programs of a run, came to.
struct tally {
  std::vector<tally_finding> findings{};
  std::vector<tally_rule> rules{};
  std::set<std::string> files{};  ///< Files of rules that were read.
  std::vector<tally_program> programs{};
  std::size_t begun = 0;  ///< Programs that looked at all, also those that crashed later.
  std::string lost{};     ///< Why lines are missing; empty: none are, as far as that is known.

  /// How many tests were looked after.
  std::size_t tests() const {
    std::size_t count = 0;
    for (const tally_program& each : programs) {
      const bool counted_inside =
          each.launcher && std::any_of(programs.begin(), programs.end(), [&](const auto& other) {
            return !other.launcher && other.ctest_name == each.ctest_name && other.tests != 0;
          });
      if (!counted_inside) count += each.tests;
    }
    return count;
  }
  /// Every program came to its end and ran all tests that it has.
  bool whole() const {
    return lost.empty() && begun == programs.size() && !programs.empty() &&
           std::all_of(programs.begin(), programs.end(),
                       [](const tally_program& each) { return each.whole; });
  }
};

inline std::string to_tally_line(const tally_finding& found) {
  json_line line;
  line.add("tally", 1);
  line.add("event", "finding");
  line.add("verdict", tally_verdicts[static_cast<std::size_t>(found.verdict)]);
  line.add("test", found.test);
  line.add("ctest", found.ctest_name);
  line.add("program", found.program);
  line.add("kind", found.kind);
  line.add("port", found.port);
  line.add("place", found.place);
  line.add("count", found.count);
  line.add("fix", found.fix);
  line.add("rule", found.rule);
  line.add("file", found.file);
  return line.text();
}

inline std::string to_tally_line(const tally_rule& rule) {
  json_line line;
  line.add("tally", 1);
  line.add("event", "rule");
  line.add("rule", rule.rule);
  line.add("file", rule.file);
  line.add("names_test", std::uint64_t{rule.names_test});
  line.add("ran", std::uint64_t{rule.ran});
  return line.text();
}

/// The line of a program that begins to look.
inline std::string begin_of_tally() {
  json_line line;
  line.add("tally", 1);
  line.add("event", "begin");
  return line.text();
}

/// The lines of a program that has come to its end, its findings not among them.
inline std::string end_of_tally(const tally& of_program) {
  std::string text;
  for (const std::string& file : of_program.files) {
    json_line line;
    line.add("tally", 1);
    line.add("event", "file");
    line.add("file", file);
    text += line.text();
  }
  for (const tally_rule& each : of_program.rules) text += to_tally_line(each);
  for (const tally_program& each : of_program.programs) {
    json_line line;
    line.add("tally", 1);
    line.add("event", "end");
    line.add("ctest", each.ctest_name);
    line.add("tests", each.tests);
    line.add("whole", std::uint64_t{each.whole});
    line.add("launcher", std::uint64_t{each.launcher});
    text += line.text();
  }
  return text;
}

/// Adds one line; what is not one is passed over.
inline void add_tally_line(std::string_view text, tally& all) {
  constexpr std::string_view start = R"({"tally":1,)";
  if (text.substr(0, start.size()) != start) return;
  const json_fields fields = parse_json_line(text);
  const auto text_of = [&](std::string_view key) {
    return sanitised(fields.find(key).value_or(""));
  };
  const std::string event = text_of("event");
  if (event == "finding") {
    tally_finding found;
    const auto verdict =
        std::find(std::begin(tally_verdicts), std::end(tally_verdicts), text_of("verdict"));
    if (verdict == std::end(tally_verdicts)) return;
    found.verdict = static_cast<tally_verdict>(verdict - std::begin(tally_verdicts));
    found.test = text_of("test");
    found.ctest_name = text_of("ctest");
    found.program = text_of("program");
    found.kind = text_of("kind");
    found.port = text_of("port");
    found.place = text_of("place");
    found.count = static_cast<std::size_t>(fields.number("count").value_or(1));
    found.fix = text_of("fix");
    found.rule = text_of("rule");
    found.file = text_of("file");
    all.findings.push_back(std::move(found));
  } else if (event == "rule") {
    tally_rule rule{text_of("rule"), text_of("file")};
    rule.names_test = fields.number("names_test") == 1;
    rule.ran = fields.number("ran") == 1;
    all.rules.push_back(std::move(rule));
  } else if (event == "file") {
    all.files.insert(text_of("file"));
  } else if (event == "begin") {
    ++all.begun;
  } else if (event == "end") {
    tally_program program{text_of("ctest")};
    program.tests = static_cast<std::size_t>(fields.number("tests").value_or(0));
    program.whole = fields.number("whole") == 1;
    program.launcher = fields.number("launcher") == 1;
    all.programs.push_back(std::move(program));
  }
}

/// The rules that let nothing pass, as far as that can be told.
struct stale_rules {
  std::vector<tally_rule> fixed{};  ///< They can go.
  std::size_t in_use = 0;           ///< Rules that let something pass.
  std::size_t findings = 0;         ///< How much that was.
  std::size_t unjudged = 0;         ///< Rules without a test, where not all tests have run.
};

/// Judges `rules`, all that there are, by the tally of a run. A rule that names tests is judged if
/// one of them has run to its end; another one only if the run was `whole`.
inline stale_rules judge_rules(const std::vector<tally_rule>& rules, const tally& run, bool whole) {
  std::map<std::pair<std::string, std::string>, std::size_t> used;
  std::set<std::pair<std::string, std::string>> ran;
  for (const tally_finding& each : run.findings) {
    if (!each.rule.empty()) used[{each.file, each.rule}] += 1;
  }
  for (const tally_rule& each : run.rules) {
    if (each.ran) ran.insert({each.file, each.rule});
  }
  std::set<std::pair<std::string, std::string>> in_use;
  stale_rules judged;
  for (const tally_rule& each : rules) {
    const std::pair<std::string, std::string> key{each.file, each.rule};
    const auto use = used.find(key);
    if (use != used.end()) {
      if (!in_use.insert(key).second) continue;  // the same rule on another line
      ++judged.in_use;
      judged.findings += use->second;
    } else if (each.names_test ? ran.count(key) != 0 : whole) {
      judged.fixed.push_back(each);
    } else if (!each.names_test) {
      ++judged.unjudged;
    }
  }
  return judged;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
