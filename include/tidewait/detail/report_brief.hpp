// SPDX-License-Identifier: BSL-1.0
#pragma once

// The short form of a finding.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/known_findings.hpp>
#include <tidewait/detail/report_columns.hpp>
#include <tidewait/detail/report_parts.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How a test that means to leave this says so: by the number of the port if somebody wrote that
/// down, since one that was chosen is another one in the next run; otherwise by the states.
inline std::string render_tolerate(const finding& found, const report& whole) {
  if (whole.rules == rule_form::text) {
    std::vector<std::string> rules;
    for (const policy_rule& each : rules_for(found, whole.rule_test))
      rules.push_back(to_string(each));
    return rules.empty() ? std::string{} : joined(rules, " and ") + rule_places;
  }
  std::vector<std::string> calls;
  if (!found.port_was_chosen)
    calls.push_back(".tolerate(" + std::to_string(found.why.request.local.port) + ')');
  const auto holds = [&](socket_state state) {
    const auto is = [state](const observed_socket& socket) { return socket.state == state; };
    return std::any_of(found.why.conflicting.begin(), found.why.conflicting.end(), is) ||
           std::any_of(found.why.unrelated.begin(), found.why.unrelated.end(), is);
  };
  for (const socket_state state : all_socket_states) {
    if (found.port_was_chosen && holds(state))
      calls.push_back(".tolerate(tidewait::socket_state::" + lower_case(to_string(state)) + ')');
  }
  // Where a line ends between two calls, it is still C++.
  return calls.empty() ? std::string{} : "tidewait::policy{}" + joined(calls, " ") + code_places;
}

/// A piece of a report: whole lines, and how much they matter; 0 matters most.
struct report_part {
  std::size_t rank = 0;
  std::string text;
};

inline std::size_t lines_of(const std::string& text) noexcept {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Of these pieces those that matter most and fit into `most` lines, in the order given.
inline std::string that_fit(const std::vector<report_part>& parts, std::size_t most) {
  std::vector<std::size_t> by_rank(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) by_rank[i] = i;
  std::stable_sort(by_rank.begin(), by_rank.end(),
                   [&](std::size_t a, std::size_t b) { return parts[a].rank < parts[b].rank; });
  std::vector<bool> kept(parts.size());
  for (const std::size_t i : by_rank) {
    const std::size_t lines = lines_of(parts[i].text);
    kept[i] = lines <= most;
    if (kept[i]) most -= lines;
  }
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (kept[i]) text += parts[i].text;
  }
  return text;
}

/// Sockets that one line can show: in one state, with the same holder.
struct brief_row {
  const observed_socket* first = nullptr;
  std::size_t count = 0;
};

inline std::vector<brief_row> brief_rows(const diagnosis& why) {
  std::vector<brief_row> rows;
  for (const auto* list : {&why.conflicting, &why.unrelated}) {
    for (const observed_socket& socket : *list) {
      const auto same = std::find_if(rows.begin(), rows.end(), [&](const brief_row& row) {
        return alike(*row.first, socket);
      });
      if (same == rows.end()) {
        rows.push_back({&socket, 1});
      } else {
        ++same->count;
      }
    }
  }
  return rows;
}

/// "LISTEN 127.0.0.1:8080: pid 4711 net_tests fd 7", "100 TIME_WAIT, one 127.0.0.1:8080 to ...".
inline std::string render_brief_row(const brief_row& row) {
  const observed_socket& socket = *row.first;
  std::string text = "  ";
  if (row.count > 1) text += std::to_string(row.count) + ' ';
  text += state_text(socket) + (row.count > 1 ? ", one " : " ") + to_string(socket.local);
  if (socket.remote.port != 0) text += " to " + to_string(socket.remote);
  const std::string owner = owner_text(socket);
  if (owner != "-") text += ": " + owner;
  if (!socket.owners.empty() && socket.owners.front().relation != relation::self) {
    const std::string note = kind_text(socket);
    if (note != "-") text += " (" + note + ')';
  }
  return wrapped(text, 6, report_width) + '\n';
}

/// What a report says of one finding behind its first line, in at most seven lines.
inline std::string render_brief(const finding& found, const report& whole) {
  std::size_t most_lines = 7;
  const diagnosis& why = found.why;
  if (!found.same_as.empty()) {
    return "  " + to_string(why.request.local) + ": as " +
           (found.same_as == whole.test ? "before" : sanitised(found.same_as)) + '\n';
  }
  std::vector<report_part> parts;
  const std::vector<brief_row> rows = brief_rows(why);
  for (std::size_t i = 0; i < rows.size(); ++i)
    parts.push_back({i == 0 ? 0U : 6U, render_brief_row(rows[i])});
  const observed_socket* const first = rows.empty() ? nullptr : rows.front().first;
  if (first != nullptr && first->bound) {
    std::string where = bound_at(*first->bound);
    // A stack that somebody asked for is shown in full, beside what has room otherwise.
    const bool whole_stack = first->bound->whole_stack;
    if (!whole_stack) std::replace(where.begin(), where.end(), '\n', ' ');
    if (!where.empty()) {
      where =
          "  " + wrapped("bound at " + where, 6, whole_stack ? where.size() : report_width) + '\n';
      if (whole_stack) most_lines += lines_of(where);
      parts.push_back({whole_stack ? 0U : 3U, std::move(where)});
    }
  }
  const std::string binders = list_binders(why, whole.test);
  if (!binders.empty()) parts.push_back({2, render_line("bound in", binders)});
  if (found.lease && found.lease->where.line != 0)
    parts.push_back({5, render_line("leased at", to_text(found.lease->where))});
  parts.push_back({2, render_line("next bind", why.next_bind)});
  for (std::size_t i = 0; i < why.explanations.size(); ++i) {
    const explanation& each = why.explanations[i];
    const bool said_before = i != 0 && why.explanations[i - 1].fix == each.fix;
    parts.push_back({i == 0 ? 1U : 7U, render_line("why", each.why) +
                                           (said_before ? "" : render_line("fix", each.fix))});
  }
  parts.push_back({8, render_unrelated(why)});
  parts.push_back({3, render_tests(why)});
  if (const std::string tolerate = render_tolerate(found, whole); !tolerate.empty())
    parts.push_back({4, render_line("tolerate", tolerate)});
  if (!gaps(whole.seen).empty()) {
    const bool matters = whole.seen.tcp != table_source::sock_diag ||
                         (first != nullptr && first->owned == ownership::hidden);
    parts.push_back({matters ? 2U : 5U, render_line("seen by", to_string(whole.seen))});
  }
  return that_fit(parts, most_lines);
}

/// "tidewait: Suite.Test: the first line", not wrapped since it has to be complete; further lines
/// as they are, indented.
inline std::string render_aside(const report& whole, std::string_view text,
                                std::string_view severity = "") {
  const std::string_view first = text.substr(0, text.find('\n'));
  std::string lines = "tidewait: ";
  lines += severity;
  lines += subject_of(whole) + ": ";
  lines.append(first) += '\n';
  text.remove_prefix(std::min(text.size(), first.size() + 1));
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const auto label = line.find(": ");
    constexpr std::size_t longest_label = 16;
    if (label < longest_label && line.front() != ' ') {
      lines += render_line(line.substr(0, label), std::string{line.substr(label + 2)});
    } else {
      if (!line.empty()) lines.append("  ").append(line);
      lines += '\n';
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return lines;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
