// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <tidewait/detail/text.hpp>
#include <tidewait/version.hpp>

#include "files.hpp"
#include "report_output.hpp"
#include "report_page.hpp"
#include "report_timeline.hpp"
#include "xml.hpp"

namespace tidewait::command {
namespace {

/// Of a table the page has that many rows: a page must open at once.
constexpr std::size_t most_rows = 100;

std::string moment(report_time time) {
  std::tm parts{};
  char text[64];
  if (!to_calendar(time / 1000000, parts)) return "?";
  return std::string{text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

/// What the table of tests says of one.
struct test_row {
  report_time longest = 0;
  std::size_t sockets = 0, chosen = 0, leased = 0, failures = 0, left = 0, time_waits = 0;
  std::uint32_t waited = 0;
  std::set<std::uint16_t> fixed;
};

class page {
 public:
  explicit page(const journal_report& report) : report_{report}, layout_{lay_out(report)} {}

  std::string make() {
    find_rows();
    begin();
    add_facts();
    add_notes();
    add_timeline();
    add_advice();
    for (const report_table& each : report_.summary.tables) {
      // What these say of each test is in the table of tests.
      if (each.id != "ephemeral" && each.id != "leases" && each.id != "shutdowns") add_table(each);
    }
    add_tests();
    end();
    return std::move(text_);
  }

 private:
  void find_rows() {
    const report_model& model = report_.model;
    for (const test_run& each : model.tests) {
      test_row& row = rows_[each.name];
      if (each.measured) row.longest = std::max(row.longest, each.end - each.begin);
      row.waited = std::max(row.waited, each.waited);
    }
    for (const port_span& each : model.spans) {
      test_row& row = rows_[model.tests[each.test].name];
      ++row.sockets;
      row.chosen += each.origin == port_origin::chosen ? 1U : 0U;
      row.left += each.left ? 1U : 0U;
      row.time_waits += each.time_waits;
      if (each.origin == port_origin::fixed) row.fixed.insert(each.port);
    }
    for (const failed_bind_seen& each : model.failures)
      rows_[model.tests[each.test].name].failures += each.count;
    for (const std::size_t test : model.lease_tests) ++rows_[model.tests[test].name].leased;
  }

  void begin() {
    text_ +=
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta name=viewport "
        "content=\"width=device-width,initial-scale=1\">\n<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        "<title>tidewait report</title>\n<style>";
    text_ += page_style;
    text_ +=
        "</style>\n</head>\n<body>\n<header><button id=theme type=button class=\"js-only "
        "theme\">Dark or light</button><h1>Ports of this test run</h1>\n<p>";
    text_ += xml_escaped(describe(report_)) + ", from " + moment(layout_.begin) + " for " +
             detail::to_text(std::chrono::milliseconds{(layout_.end - layout_.begin) / 1000});
    text_ += "</p></header>\n<main>\n";
  }

  void add_facts() {
    const auto count = [&](finding_kind kind) {
      return std::count_if(report_.summary.findings.begin(), report_.summary.findings.end(),
                           [&](const report_finding& each) { return each.kind == kind; });
    };
    const std::tuple<finding_kind, const char*, const char*> facts[] = {
        {finding_kind::collision, "warn", "numbers that several tests bind"},
        {finding_kind::bind_failed, "bad", "binds that failed"},
        {finding_kind::shared, "bad", "ports shared silently"},
        {finding_kind::left_behind, "bad", "sockets left behind"},
        {finding_kind::time_wait, "bad", "TIME_WAITs that block"},
        {finding_kind::wildcard, "warn", "tests open to the network"}};
    text_ += "<ul class=facts>";
    for (const auto& [kind, how, what] : facts) {
      const auto number = count(kind);
      text_ += std::string{"<li class="} + (number == 0 ? "good" : how) + "><b>" +
               std::to_string(number) + "</b><span>" + what + "</span></li>";
    }
    text_ += "</ul>\n";
  }

  void add_notes() {
    const std::vector<std::string> notes = caveats(report_);
    if (notes.empty()) return;
    text_ += "<section class=notes aria-label=Notes><h2>What the journals cannot tell</h2><ul>";
    for (const std::string& each : notes) text_ += "<li>" + xml_escaped(each) + "</li>";
    text_ += "</ul></section>\n";
  }

  void add_advice() {
    const report_advice& advice = report_.advice;
    text_ += "<section id=todo><h2>What to do</h2>";
    if (advice.steps.empty()) {
      text_ +=
          "<p class=about>No two tests bind the same number, so none need to be kept "
          "apart, and none leaves a socket open.</p></section>\n";
      return;
    }
    text_ +=
        "<p class=about>First what makes binds fail, then what wins most. The times are estimates "
        "for "
        "<code>ctest -j" +
        std::to_string(advice.jobs) +
        "</code>, from the recorded durations of the tests.</p><ol class=steps>";
    constexpr std::size_t most_steps = 12;
    for (std::size_t i = 0; i < advice.steps.size() && i < most_steps; ++i) {
      const report_step& step = advice.steps[i];
      constexpr std::size_t most_open = 3;
      if (i == most_open) {
        text_ += "</ol><details><summary>" + std::to_string(advice.steps.size() - most_open) +
                 " more</summary><ol class=steps start=" + std::to_string(most_open + 1) + '>';
      }
      text_ += "<li>" + xml_escaped(step.what);
      if (!step.why.empty()) text_ += ": <span class=why>" + xml_escaped(step.why) + "</span>";
      text_ += "<pre>";
      for (std::size_t line = 0; line < step.paste.size(); ++line)
        text_ += (line == 0 ? "" : "\n") + xml_escaped(step.paste[line]);
      text_ += "</pre></li>";
    }
    text_ += "</ol></section>\n";
  }

  void add_timeline() {
    text_ +=
        "<section id=timeline><h2>Timeline</h2><p class=about>Processes that ran one after the "
        "other share a lane. Each bar "
        "is a test; below it are its sockets, from bind to close.</p>\n"
        "<div class=\"controls js-only\"><label>Test<input id=test type=search size=24 "
        "autocomplete=off></label><label>Port<input id=port type=search size=8 autocomplete=off>"
        "</label><label>Show<select id=state><option value=\"\">everything<option value=problems>"
        "problems<option value=failed>failed binds<option value=left>left behind<option "
        "value=wait>TIME_WAIT<option value=shared>shared silently<option value=wildcard>open to "
        "the "
        "network<option value=fixed>fixed numbers<option value=chosen>chosen by the kernel<option "
        "value=leased>leased</select></label><span id=count role=status></span><span class=zoom>"
        "<button id=in type=button aria-label=\"Zoom in\">+</button><button id=out type=button "
        "aria-label=\"Zoom out\">−</button><button id=all type=button>All</button></span></div>\n"
        "<div class=legend>"
        "<span><svg aria-hidden=true><rect class=p0 width=22 height=8></rect></svg>a number that "
        "the test asked for, by port</span>"
        "<span><svg aria-hidden=true><rect width=22 height=8 "
        "fill=var(--chosen)></rect></svg>chosen "
        "by the kernel, or not known</span>"
        "<span><svg aria-hidden=true><rect width=22 height=8 fill=var(--leased)></rect></svg>leased"
        "</span>"
        "<span><svg aria-hidden=true><rect width=22 height=8 "
        "fill=url(#hatch)></rect></svg>TIME_WAIT"
        "</span>"
        "<span><svg aria-hidden=true><rect width=22 height=8 class=p0></rect><rect x=18 width=4 "
        "height=10 fill=var(--bad)></rect></svg>left behind</span>"
        "<span><svg aria-hidden=true><path d=\"M7 1l8 8m0-8l-8 8\" stroke=var(--bad) "
        "stroke-width=2.4></path></svg>bind failed</span></div>\n<div class=scroll>";
    text_ += draw(report_, layout_);
    text_ +=
        "</div>\n<dl id=detail aria-live=polite><dt class=\"hint js-only\">Point at a socket, or "
        "focus the timeline: ← → go from socket to socket, + − zoom, shift ← → move, Enter filters "
        "by the port, Escape ends. Ctrl and the wheel zoom, dragging moves.</dt></dl></section>\n";
  }

  void add_head(const std::vector<report_table::column>& columns,
                const std::vector<bool>& numbers) {
    text_ += "<thead><tr>";
    for (std::size_t i = 0; i < columns.size(); ++i)
      text_ += (numbers[i] ? "<th class=n>" : "<th>") + xml_escaped(columns[i].title);
    text_ += "</thead><tbody>";
  }

  void add_table(const report_table& table) {
    text_ += "<section><h2 id=h-" + table.id + '>' + xml_escaped(table.title) + "</h2>";
    if (!table.about.empty()) text_ += "<p class=about>" + xml_escaped(table.about) + "</p>";
    text_ += "<div class=wide><table aria-labelledby=h-" + table.id + '>';
    std::vector<bool> numbers;
    for (const report_cell& each : table.rows.front()) numbers.push_back(each.is_number);
    add_head(table.columns, numbers);
    for (std::size_t i = 0; i < table.rows.size() && i < most_rows; ++i) {
      text_ += "<tr>";
      for (const report_cell& each : table.rows[i])
        text_ += (each.is_number ? "<td class=n>" : "<td>") + xml_escaped(each.text);
      text_ += '\n';
    }
    text_ += "</table></div>";
    if (table.rows.size() > most_rows) {
      text_ += "<p class=about>And " + std::to_string(table.rows.size() - most_rows) +
               " more: <code>tidewait report --json</code> has them all.</p>";
    }
    text_ += "</section>\n";
  }

  void add_tests() {
    text_ +=
        "<section><h2 id=h-tests>Tests</h2><p class=about>All tests, in order of time.</p><div "
        "class=wide><table id=tests aria-labelledby=h-tests>";
    add_head({{"", "test"},
              {"", "took"},
              {"", "fixed ports"},
              {"", "sockets"},
              {"", "chosen"},
              {"", "leased"},
              {"", "failed binds"},
              {"", "left"},
              {"", "TIME_WAIT"},
              {"", "shutdown"}},
             {false, true, false, true, true, true, true, true, true, true});
    row_of_.resize(report_.records.texts.size());
    std::vector<char> has_row(report_.records.texts.size());
    std::uint32_t count = 0;
    for (const std::size_t run : layout_.runs) {
      const text_id name = report_.model.tests[run].name;
      if (has_row[name] != 0) continue;
      has_row[name] = 1;
      row_of_[name] = count++;
      add_row(name, rows_[name]);
    }
    text_ += "</table></div></section>\n";
  }

  void add_row(text_id name, const test_row& row) {
    const auto cell = [&](std::size_t number) {
      text_ += number == 0 ? "<td>" : "<td>" + std::to_string(number);
    };
    const auto time = [&](report_time duration) {
      text_ += "<td>";
      if (duration != 0) text_ += detail::to_text(std::chrono::milliseconds{duration / 1000});
    };
    text_ += "<tr><td>" + xml_escaped(report_.records.texts[name]);
    time(row.longest);
    text_ += "<td>";
    constexpr std::size_t most_ports = 8;
    std::size_t shown = 0;
    for (const std::uint16_t port : row.fixed) {
      if (shown != 0) text_ += ' ';
      if (++shown > most_ports) {
        text_ += "...";
        break;
      }
      text_ += std::to_string(port);
    }
    for (const std::size_t number :
         {row.sockets, row.chosen, row.leased, row.failures, row.left, row.time_waits})
      cell(number);
    time(static_cast<report_time>(row.waited) * 1000);
    constexpr std::string_view empty = "<td>";  // at the end of a row they may be left out
    while (std::string_view{text_}.substr(text_.size() - empty.size()) == empty)
      text_.resize(text_.size() - empty.size());
    text_ += '\n';
  }

  void end() {
    std::string data = pack(report_, layout_, row_of_);
    std::string safe;
    // In a script nothing is escaped: what could end it, or begin a comment, is written otherwise.
    for (const char c : data) {
      if (c == '<') {
        safe += "\\u003c";
      } else {
        safe += c;
      }
    }
    text_ += "</main>\n<footer>Made by <code>tidewait report</code> " +
             std::to_string(version.major_part) + '.' + std::to_string(version.minor_part) + '.' +
             std::to_string(version.patch_part) +
             ". The page is complete in itself and loads nothing.</footer>\n"
             "<script type=application/json id=data>" +
             safe + "</script>\n<script>";
    text_ += page_script;
    text_ += "</script>\n</body>\n</html>\n";
  }

  const journal_report& report_;
  timeline layout_;
  std::map<text_id, test_row> rows_;
  std::vector<std::uint32_t> row_of_;  // in the table of tests, by name
  std::string text_;
};

}  // namespace

std::string to_html(const journal_report& report) { return page{report}.make(); }

}  // namespace tidewait::command
