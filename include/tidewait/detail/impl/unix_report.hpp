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

inline std::string render_unix_tolerate(const unix_finding& found, rule_form form) {
  const std::string name = shown_unix_name(found.why.name);
  return form == rule_form::code ? "policy.tolerate_path(\"" + name + "\")"
                                 : "--tolerate path=" + shell_quoted(name);
}

/// The findings of one severity, each in full; at most `most`.
inline std::string render_unix_findings(const std::vector<const unix_finding*>& findings,
                                        rule_form form) {
  constexpr std::size_t most = 6;
  std::string text;
  for (std::size_t i = 0; i < findings.size() && i < most; ++i) {
    text += '\n' + render_unix_diagnosis(findings[i]->why) +
            render_line("tolerate", render_unix_tolerate(*findings[i], form));
  }
  if (findings.size() > most)
    text += "\n  and " + std::to_string(findings.size() - most) + " more Unix sockets\n";
  return text;
}

}  // namespace detail

TIDEWAIT_INLINE std::string render(const unix_diagnosis& why, const visibility& seen) {
  const std::string name = detail::shown_unix_name(why.name);
  const bool stale = std::any_of(why.conflicting.begin(), why.conflicting.end(),
                                 [](const observed_unix& each) { return each.stale_file; });
  const bool alone = why.free() && why.unrelated.empty();
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
