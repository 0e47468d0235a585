// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/tally.hpp>
#include <tidewait/detail/text.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Findings that one sentence tells: of one kind, with one fix.
struct tally_group {
  std::string kind{};
  std::string fix{};
  std::set<tally_subject> tests{};
  std::map<std::string, std::size_t> ports{};  ///< How many findings on each that was written down.
  std::string place{};                         ///< Of the first finding,
  std::string test{};                          ///< and its test.
  std::size_t findings = 0;
};

/// What was looked after, where it has no name of its own.
inline std::string subject_name(const std::string& test) {
  return test.empty() ? "this process" : test;
}

inline std::vector<tally_group> group_findings(const tally& all, tally_verdict verdict) {
  std::map<std::pair<std::string, std::string>, tally_group> groups;
  for (const tally_finding& each : all.findings) {
    if (each.verdict != verdict) continue;
    tally_group& group = groups[{each.kind, without_numbers(each.fix)}];
    if (group.findings++ == 0) {
      group.kind = each.kind;
      group.fix = each.fix;
      group.place = each.place;
      group.test = subject_of(each).first;
    }
    group.tests.insert(subject_of(each));
    if (!each.port.empty()) ++group.ports[each.port];
  }
  std::vector<tally_group> sorted;
  for (auto& [key, group] : groups) sorted.push_back(std::move(group));
  std::stable_sort(sorted.begin(), sorted.end(), [](const tally_group& a, const tally_group& b) {
    return a.tests.size() > b.tests.size();
  });
  return sorted;
}

/// "207 tests left TIME_WAIT, 206 of them on port 1234: let the client close first"; where they
/// have no port in common: "Net.Echo left LISTEN 127.0.0.1:8080: close it; the same in 38 more
/// tests".
inline std::string to_text(const tally_group& group) {
  const auto most =
      std::max_element(group.ports.begin(), group.ports.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const bool in_common = group.tests.size() > 1 && most != group.ports.end() && most->second > 1 &&
                         !group.kind.empty();
  std::string text = subject_name(group.test);
  if (in_common) {
    text = counted(group.tests.size(), "test") + " left " + group.kind + ", " +
           (most->second == group.findings ? "all" : std::to_string(most->second)) +
           " of them on port " + most->first;
  } else if (!group.kind.empty()) {
    text += " left " + group.kind + ' ' + group.place;
  }
  if (!group.fix.empty()) text += ": " + group.fix;
  if (!in_common && group.tests.size() > 1)
    text += "; the same in " + counted(group.tests.size() - 1, "more test");
  return text;
}

/// "most: Net.Bulk (12), Net.Echo (3)": the five tests that left most; empty for a single one.
inline std::string worst_tests(const tally& all) {
  std::map<tally_subject, std::size_t> left;
  std::map<std::string, std::size_t> with_name;
  for (const tally_finding& each : all.findings) {
    if (each.verdict != tally_verdict::failed && each.verdict != tally_verdict::warned) continue;
    const auto [place, is_new] = left.try_emplace(subject_of(each), 0);
    place->second += each.count;
    if (is_new) ++with_name[place->first.first];
  }
  if (left.size() < 2) return {};
  std::vector<std::pair<tally_subject, std::size_t>> sorted{left.begin(), left.end()};
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr std::size_t most_shown = 5;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < sorted.size() && i < most_shown; ++i) {
    const auto& [subject, count] = sorted[i];
    std::string name = clipped(subject_name(subject.first), 60);
    if (with_name[subject.first] > 1 && !subject.second.empty())
      name += " of " + clipped(subject.second, 60);
    shown.push_back(name + " (" + std::to_string(count) + ')');
  }
  return "most: " + joined(shown, ", ");
}

/// How many tests have a finding with this verdict.
inline std::size_t tests_with(const tally& all, tally_verdict verdict) {
  std::set<tally_subject> tests;
  for (const tally_finding& each : all.findings) {
    if (each.verdict == verdict) tests.insert(subject_of(each));
  }
  return tests.size();
}

/// What the findings come to, at most some fifteen lines; empty if there are none. `record`: the
/// command that would record them.
inline std::string summarise(const tally& all, const std::string& record) {
  if (all.findings.empty()) return {};
  const auto line = [](std::size_t indent, const std::string& text) {
    return std::string(indent, ' ') + wrapped(text, indent + 2, report_width) + '\n';
  };
  std::size_t harmless = 0;
  for (const tally_finding& each : all.findings) {
    if (each.verdict == tally_verdict::harmless) harmless += each.count;
  }
  const std::size_t failed = tests_with(all, tally_verdict::failed);
  const std::size_t warned = tests_with(all, tally_verdict::warned);
  const std::size_t passed = tests_with(all, tally_verdict::passed);
  std::vector<std::string> counts;
  if (failed != 0) counts.push_back(std::to_string(failed) + " left something behind");
  if (warned != 0) counts.push_back(std::to_string(warned) + " with a warning");
  if (passed != 0) counts.push_back(std::to_string(passed) + " let pass by a rule");
  if (harmless != 0) counts.push_back(counted(harmless, "harmless TIME_WAIT"));
  std::string text =
      line(0, "tidewait: looked after " + counted(all.tests(), "test") +
                  // Of suites and of the program itself there may be findings as well.
                  (std::max(failed, warned) > all.tests() ? " and what is around them: " : ": ") +
                  joined(counts, ", "));
  constexpr std::size_t most_groups = 4;
  for (const tally_verdict verdict : {tally_verdict::failed, tally_verdict::warned}) {
    const auto groups = group_findings(all, verdict);
    const std::string prefix = verdict == tally_verdict::warned ? "warning: " : "";
    for (std::size_t i = 0; i < groups.size() && i < most_groups; ++i)
      text += line(2, prefix + to_text(groups[i]));
    if (groups.size() > most_groups)
      text +=
          line(2, prefix + "and " + std::to_string(groups.size() - most_groups) + " more kinds");
  }
  if (const std::string worst = worst_tests(all); !worst.empty()) text += line(2, worst);
  if (failed > 1)
    text += "  next: fix the first kind above; or, so that only new ones fail: " + record + '\n';
  if (!all.lost.empty()) text += line(2, "this is not all: " + all.lost);
  return sanitised_lines(text);
}

/// What rules let pass, and which of them can go; empty if there are none. `name`: how a file is
/// called in the text.
template <typename Name>
std::string summarise(const stale_rules& judged, const std::string& prune, Name&& name) {
  std::string text;
  const auto line = [&text](std::size_t indent, const std::string& content) {
    text += std::string(indent, ' ') + wrapped(content, indent + 2, report_width) + '\n';
  };
  if (judged.in_use == 0 && judged.fixed.empty() && judged.unjudged == 0) return {};
  line(0, judged.in_use == 0 ? "tidewait: the rules let nothing pass"
                             : "tidewait: " + counted(judged.in_use, "rule") + " let " +
                                   counted(judged.findings, "finding") + " pass");
  constexpr std::size_t most_shown = 20;
  bool in_file = false;
  for (std::size_t i = 0; i < judged.fixed.size() && i < most_shown; ++i) {
    const tally_rule& each = judged.fixed[i];
    in_file = in_file || !each.file.empty();
    line(2, each.file.empty() ? "fixed: this rule can go: " + each.rule
                              : "fixed: remove line " + std::to_string(each.line) + " of " +
                                    name(each.file) + ": " + each.rule);
  }
  if (judged.fixed.size() > most_shown)
    line(2, "and " + std::to_string(judged.fixed.size() - most_shown) + " more that can go");
  if (in_file && !prune.empty()) line(2, "`" + prune + "` removes what is fixed");
  if (judged.unjudged != 0)
    line(2, counted(judged.unjudged, "rule") +
                " that let nothing pass cannot be judged: not all tests are known to have run");
  return sanitised_lines(text);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
