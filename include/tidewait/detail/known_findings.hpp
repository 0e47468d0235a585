// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tidewait/detail/explain_unix.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/policy_line.hpp>
#include <tidewait/detail/recorded_path.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The environment variable that names the file to which each finding is added as a rule.
inline constexpr const char* record_variable = "TIDEWAIT_RECORD";

inline constexpr std::string_view record_header =
    "# Known findings: each rule lets pass what one test left behind. Write the reason behind "
    "'#'.\n"
    "# `tidewait known prune -- COMMAND` removes the rules that let nothing pass any more.\n";

/// What test= of a recorded rule says: the name, of which a line of a file has room for so much.
inline std::string recorded_test(const std::string& test) {
  constexpr std::size_t most = 800;  // each byte may take four
  if (test.size() <= most) return test;
  std::size_t end = most;
  while (end != 0 && (static_cast<unsigned char>(test[end]) & 0xC0U) == 0x80U) --end;
  return test.substr(0, end) + '*';
}

/// The rules that let exactly this finding pass: one for each state, in this test. A number that
/// was chosen for the test is not in them. None if nothing would narrow them down.
inline std::vector<policy_rule> rules_for(const finding& found, const std::string& test) {
  std::vector<policy_rule> rules;
  for (const auto* list : {&found.why.conflicting, &found.why.unrelated}) {
    for (const observed_socket& socket : *list) {
      if (found.only_shared() && !any_ours(socket.owners))
        continue;  // nobody judges the other program's
      policy_rule rule;
      rule.state = socket.state;
      const std::uint16_t port = found.why.request.local.port;
      if (!found.port_was_chosen) rule.ports = port_range{port, port};
      rule.test = recorded_test(test);
      // Without the name of a test, who holds it is what tells it apart.
      if (test.empty() && !socket.owners.empty()) rule.owner = socket.owners.front().name;
      if (rule.test.empty() && rule.owner.empty() && !rule.ports) continue;
      const std::string text = to_string(rule);
      const bool there = std::any_of(rules.begin(), rules.end(), [&](const policy_rule& each) {
        return to_string(each) == text;
      });
      if (!there) rules.push_back(std::move(rule));
    }
  }
  return rules;
}

/// The rule that lets exactly this Unix socket or stale file pass, in this test.
inline policy_rule rule_for(const unix_finding& found, const std::string& test) {
  policy_rule rule;
  const char* const file = environment(record_variable);
  recording_place place = place_of_recording(file == nullptr ? "" : file);
  for (const auto* list : {&found.why.conflicting, &found.why.unrelated}) {
    for (const observed_unix& each : *list) {
      for (const process& owner : each.owners) place.numbers.push_back(std::to_string(owner.pid));
    }
  }
  rule.path = recorded_path(shown_unix_name(found.why.name), place);
  rule.test = recorded_test(test);
  return rule;
}

/// A file of rules with these added: each in front of the first rule that sorts behind it, so that
/// files that were recorded on several machines merge. What the file has stays as it is.
inline std::string with_rules(const std::string& text, const std::vector<std::string>& added) {
  std::vector<std::string> lines;
  std::string_view rest = text.empty() ? record_header : std::string_view{text};
  const std::string_view mark = byte_order_mark_of(rest);
  rest.remove_prefix(mark.size());
  while (!rest.empty()) lines.emplace_back(take_line(rest));
  const auto item_of = [](const std::string& line) { return split_policy_line(line).item; };
  for (const std::string& rule : added) {
    const bool there = std::any_of(lines.begin(), lines.end(),
                                   [&](const std::string& line) { return item_of(line) == rule; });
    if (there) continue;
    const auto behind = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return !item_of(line).empty() && item_of(line) > rule;
    });
    lines.insert(behind, rule);
  }
  std::string joined_lines{mark};
  for (const std::string& line : lines) joined_lines += line + '\n';
  return joined_lines;
}

/// Why a file of rules could not be changed, in words.
inline std::string why_not_edited(const std::error_code& error) {
  return error == std::errc::file_too_large     ? "it is larger than 1 MiB"
         : error == std::errc::invalid_argument ? "it is not a regular file"
         : error == std::errc::too_many_symbolic_link_levels
             ? "it is a symbolic link: name the file"
             : error.message();
}

/// Adds rules to the file of TIDEWAIT_RECORD. Returns why that failed; empty if it did not.
inline std::string record_rules(const std::vector<policy_rule>& rules) {
  const char* const path = environment(record_variable);
  if (path == nullptr || *path == '\0' || rules.empty()) return {};
  std::vector<std::string> added;
  for (const policy_rule& each : rules) added.push_back(to_string(each));
  const auto error = edit_named_file(
      path, most_of_a_policy, [&](const std::string& text) { return with_rules(text, added); });
  if (!error) return {};
  return "recording findings in " + sanitised(path) + ": " + why_not_edited(error);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
