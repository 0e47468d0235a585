// SPDX-License-Identifier: BSL-1.0
#pragma once

// The lines that both forms of a report have, the whole and the short one.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/bind_text.hpp>
#include <tidewait/detail/explain_port.hpp>
#include <tidewait/detail/report_columns.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/policy.hpp>
#include <tidewait/report.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

inline constexpr std::size_t report_rows = 8;

inline std::string render_rows(const finding& found) {
  text_table table{{"state", "local", "remote", "owner", "note"}};
  std::vector<observed_socket> sockets = found.why.conflicting;
  sockets.insert(sockets.end(), found.why.unrelated.begin(), found.why.unrelated.end());
  const std::size_t shown = sockets.size() <= report_rows ? sockets.size() : report_rows - 1;
  for (std::size_t i = 0; i < shown; ++i) {
    const observed_socket& socket = sockets[i];
    table.add({state_text(socket), local_text(socket),
               socket.remote.port == 0 ? "-" : to_string(socket.remote), owner_text(socket),
               note_text(socket, i == 0 ? nullptr : sockets[i - 1].bound.get())});
  }
  std::string text = table.render("  ", report_width);
  if (shown < sockets.size()) text += "  and " + std::to_string(sockets.size() - shown) + " more\n";
  return text;
}

/// "label: text", wrapped, further lines indented by four more than the label.
inline std::string render_line(std::string_view label, const std::string& text) {
  std::string line = "  ";
  line += label;
  line += ": ";
  return line + wrapped(text, columns(line), report_width) + '\n';
}

// In known_findings.hpp.
inline std::vector<policy_rule> rules_for(const finding& found, const std::string& test);
inline policy_rule rule_for(const unix_finding& found, const std::string& test);
inline constexpr const char* code_places = ", in a fixture or watch";
inline constexpr const char* rule_places = ", in TIDEWAIT_POLICY or as a line of its @FILE";

/// Which sockets use the same port without a conflict, and why: that is not obvious.
inline std::string render_unrelated(const diagnosis& why) {
  std::vector<std::string> lines;
  for (const observed_socket& socket : why.unrelated) {
    const std::string line = explain_apart(socket, why.request);
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  }
  std::string text;
  for (std::size_t i = 0; i < lines.size() && i < report_rows; ++i) {
    text += render_line("not in the way", lines[i]);
  }
  return text;
}

/// The other tests whose sockets they are.
inline std::string render_tests(const diagnosis& why) {
  std::string text;
  std::string last;  // equal names stand together, since what is alike is sorted together
  for (const observed_socket& socket : why.conflicting) {
    if (!socket.test.empty() && socket.test != last) {
      text += socket.left_behind ? render_line("left by", socket.test + ", an earlier test")
                                 : render_line("used by", socket.test + ", another test");
    }
    last = socket.test;
  }
  return text;
}

/// The tests that bound the sockets which a suite or the program left, as the witness saw them:
/// "Net.Echo, Net.Bulk and 3 more"; empty if the report is about that test.
inline std::string list_binders(const diagnosis& why, const std::string& about) {
  std::vector<std::string> tests;
  for (const auto* list : {&why.conflicting, &why.unrelated}) {
    for (const observed_socket& socket : *list) {
      if (!socket.bound || socket.bound->test.empty() || socket.bound->test == about) continue;
      const std::string test = sanitised(socket.bound->test);
      if (std::find(tests.begin(), tests.end(), test) == tests.end()) tests.push_back(test);
    }
  }
  constexpr std::size_t most = 3;
  const std::size_t more = tests.size() > most ? tests.size() - most : 0;
  tests.resize(tests.size() - more);
  return joined(tests, ", ") + (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

inline std::string subject_of(const report& whole) {
  return whole.test.empty() ? "this process" : sanitised(whole.test);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
