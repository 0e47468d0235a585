// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <tidewait/detail/explain_unix.hpp>
#include <tidewait/detail/impl/report.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline std::string render_unix_rows(const unix_diagnosis& why) {
  std::vector<observed_unix> sockets = why.conflicting;
  sockets.insert(sockets.end(), why.unrelated.begin(), why.unrelated.end());
  if (sockets.empty()) return {};
  text_table table{{"state", "type", "name", "owner", "note"}};
  const std::size_t shown = sockets.size() <= report_rows ? sockets.size() : report_rows - 1;
  for (std::size_t i = 0; i < shown; ++i) {
    const observed_unix& each = sockets[i];
    observed_socket held;  // for the columns that a port's sockets have, too
    held.owned = each.owned;
    held.uid = each.uid;
    held.owners = each.owners;
    held.keeper = each.keeper;
    table.add({each.stale_file ? "stale file" : std::string{to_string(each.state)},
               each.stale_file ? "-" : std::string{to_string(each.kind)},
               shown_unix_name(each.name), each.stale_file ? "nobody" : owner_text(held),
               kind_text(held)});
  }
  std::string text = table.render("  ", report_width);
  if (shown < sockets.size()) text += "  and " + std::to_string(sockets.size() - shown) + " more\n";
  return text + '\n';
}

inline std::string render_unix_diagnosis(const unix_diagnosis& why) {
  std::string text = render_unix_rows(why);
  constexpr std::size_t longest_label = 60;
  const std::string name = shown_unix_name(why.name);
  text += render_line(columns(name) > longest_label ? "next bind" : "next bind to " + name,
                      why.next_bind);
  for (const explanation& each : why.explanations) {
    text += render_line("why", each.why) + render_line("fix", each.fix);
  }
  return text;
}

/// "left 2 Unix sockets and 1 stale socket file behind, among them /tmp/a.sock".
inline std::string render_unix_headline(const std::vector<const unix_finding*>& findings) {
  std::size_t files = 0;
  std::size_t sockets = 0;
  for (const unix_finding* each : findings) {
    for (const auto* list : {&each->why.conflicting, &each->why.unrelated}) {
      for (const observed_unix& one : *list) ++(one.stale_file ? files : sockets);
    }
  }
  std::vector<std::string> parts;
  if (sockets != 0) parts.push_back(counted(sockets, "Unix socket"));
  if (files != 0) parts.push_back(counted(files, "stale socket file"));
  if (parts.empty()) parts.emplace_back("a Unix socket");
  const std::string name = shown_unix_name(findings.front()->why.name);
  return joined(parts, " and ") + " behind" +
         (findings.size() == 1 ? std::string{files == 0 ? " on " : ": "} : ", among them ") + name;
}

inline std::string render_unix_tolerate(const unix_finding& found, const report& whole) {
  if (whole.rules == rule_form::code)
    return "tidewait::policy{}.tolerate_path(" + cpp_quoted(shown_unix_name(found.why.name)) + ')' +
           code_places;
  return to_string(rule_for(found, whole.rule_test)) + rule_places;
}

/// In at most seven lines.
inline std::string render_brief(const unix_finding& found, const report& whole) {
  constexpr std::size_t most_lines = 7;
  const unix_diagnosis& why = found.why;
  if (!found.same_as.empty()) {
    return "  " + shown_unix_name(why.name) + ": as " +
           (found.same_as == whole.test ? "before" : sanitised(found.same_as)) + '\n';
  }
  std::vector<report_part> parts;
  for (const auto* list : {&why.conflicting, &why.unrelated}) {
    for (const observed_unix& each : *list) {
      observed_socket held;
      held.owned = each.owned;
      held.uid = each.uid;
      held.owners = each.owners;
      held.keeper = each.keeper;
      const std::string owner = each.stale_file ? "nobody holds it" : owner_text(held);
      parts.push_back({parts.empty() ? 0U : 5U,
                       "  " +
                           wrapped((each.stale_file ? "stale file "
                                                    : std::string{to_string(each.state)} + ' ') +
                                       shown_unix_name(each.name) + ": " + owner,
                                   4, report_width) +
                           '\n'});
    }
  }
  parts.push_back({2, render_line("next bind", why.next_bind)});
  for (std::size_t i = 0; i < why.explanations.size(); ++i) {
    const explanation& each = why.explanations[i];
    parts.push_back(
        {i == 0 ? 1U : 6U, render_line("why", each.why) + render_line("fix", each.fix)});
  }
  parts.push_back({3, render_line("tolerate", render_unix_tolerate(found, whole))});
  return that_fit(parts, most_lines);
}

/// The findings of one severity; at most `most`.
inline std::string render_unix_findings(const std::vector<const unix_finding*>& findings,
                                        const report& whole) {
  constexpr std::size_t most = 6;
  const bool brief = whole.detail == report_detail::brief;
  std::string text;
  for (std::size_t i = 0; i < findings.size() && i < most; ++i) {
    text += brief ? render_brief(*findings[i], whole)
                  : '\n' + render_unix_diagnosis(findings[i]->why) +
                        render_line("tolerate", render_unix_tolerate(*findings[i], whole));
  }
  if (findings.size() > most)
    text += (brief ? "  and " : "\n  and ") + std::to_string(findings.size() - most) +
            " more Unix sockets\n";
  return text;
}

}  // namespace detail

TIDEWAIT_INLINE std::string render(const unix_diagnosis& why, const visibility& seen) {
  const std::string name = detail::shown_unix_name(why.name);
  const bool stale = std::any_of(why.conflicting.begin(), why.conflicting.end(),
                                 [](const observed_unix& each) { return each.stale_file; });
  const bool alone = why.free() && why.unrelated.empty() && why.explanations.empty();
  if (alone) return "tidewait: " + name + " is free\n";
  const char* const verdict = why.free()                              ? " is free"
                              : stale                                 ? " is a stale socket file"
                              : why.bind == std::errc::address_in_use ? " is in use"
                                                                      : " cannot be bound";
  return detail::sanitised_lines("tidewait: " + name + verdict + "\n\n" +
                                 detail::render_unix_diagnosis(why) +
                                 detail::render_line("seen by", to_string(seen)));
}

}  // namespace v0
}  // namespace tidewait
