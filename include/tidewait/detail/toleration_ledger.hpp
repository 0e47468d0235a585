// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/policy.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What each rule of the policies of a program let pass, for a list at its end.
class toleration_ledger {
 public:
  /// Every rule that lets something pass is known from now on, whether it matches or not.
  void know(const policy& rules) {
    for (const policy_rule& rule : rules.rules()) {
      if (rule.action != action::fail) line_of(rule);
    }
  }
  /// `rule` let this pass: "127.0.0.1:8080 in Suite.Test".
  void add(const policy_rule& rule, std::string what) {
    std::vector<std::string>& passed = line_of(rule).passed;
    if (std::find(passed.begin(), passed.end(), what) == passed.end())
      passed.push_back(std::move(what));
  }
  /// The list as text; empty if there is no rule.
  std::string render() const {
    if (lines_.empty()) return {};
    std::string text = "tidewait: what the policies of this program let pass\n";
    for (const line& each : lines_) {
      text += "  " + each.rule;
      if (!each.reason.empty()) text += " (" + each.reason + ')';
      text += ": ";
      if (each.passed.empty()) text += "nothing";
      constexpr std::size_t most_named = 4;
      for (std::size_t i = 0; i < each.passed.size() && i < most_named; ++i)
        text += (i == 0 ? "" : ", ") + each.passed[i];
      if (each.passed.size() > most_named)
        text += ", and " + std::to_string(each.passed.size() - most_named) + " more";
      text += '\n';
    }
    return sanitised_lines(text);
  }

 private:
  struct line {
    std::string rule;
    std::string reason;
    std::vector<std::string> passed;
  };

  line& line_of(const policy_rule& rule) {
    const std::string text = to_string(rule);
    const auto known = std::find_if(lines_.begin(), lines_.end(), [&](const line& each) {
      return each.rule == text && each.reason == rule.reason;
    });
    if (known != lines_.end()) return *known;
    lines_.push_back({text, rule.reason, {}});
    return lines_.back();
  }

  std::vector<line> lines_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
