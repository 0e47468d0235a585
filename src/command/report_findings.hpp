// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report_model.hpp"

namespace tidewait::command {

/// What is worth a look, in the order in which a report shows it.
enum class finding_kind : std::uint8_t {
  collision,    ///< Several tests bind the same number: they cannot run at once.
  shared,       ///< Two tests were on one port at once, through SO_REUSEPORT.
  bind_failed,  ///< A bind failed.
  left_behind,  ///< A test left a socket open.
  time_wait,    ///< A test left a TIME_WAIT that keeps the next bind from succeeding.
  wildcard,     ///< A test listens on every address of the machine.
  unended       ///< A test began and never ended.
};

/// "collision", "shared", ...: as `--fail-on` and the JSON have it.
std::string_view to_string(finding_kind kind) noexcept;

/// One finding of a report. `key` has neither times nor pids nor numbers that the kernel chose: it
/// is the same in the next run.
struct report_finding {
  finding_kind kind = finding_kind::collision;
  std::string key;
  std::string test;       ///< The first of its tests.
  std::string what;       ///< One sentence.
  bool blocking = false;  ///< It keeps, or kept, a bind from succeeding.
};

/// A cell: its text and, if it is a number, that.
struct report_cell {
  std::string text;
  double number = 0;
  bool is_number = false;

  report_cell(std::string cell) : text{std::move(cell)} {}  // NOLINT: a text is a cell
  report_cell(const char* cell) : text{cell} {}             // NOLINT
  static report_cell of(std::size_t count);
  /// "1.2 s"
  static report_cell seconds(report_time duration);
};

/// A table of a report, the same in the terminal, on the page and in JSON.
struct report_table {
  struct column {
    std::string id, title;
  };
  std::string id, title;
  std::string about;  ///< One sentence: what it shows, and what it means.
  std::vector<column> columns;
  std::vector<std::vector<report_cell>> rows;
};

/// Tests that bind one number: they would collide if they ran at once.
struct port_group {
  record_protocol protocol = record_protocol::tcp;
  std::uint16_t port = 0;
  std::vector<text_id> tests;     ///< Names, without those in a network namespace of their own.
  std::vector<std::size_t> runs;  ///< One `test_run` for each of them.
  std::size_t isolated = 0;       ///< Tests with the number in a namespace of their own.
  std::size_t failed = 0;         ///< Binds of it that failed with EADDRINUSE.
  std::size_t overlapped = 0;     ///< Times that two processes had it at once.
};

/// Whether TIME_WAITs of a socket keep the next bind to its port from succeeding.
struct time_wait_judgement {
  bool blocks = false;
  bool known = true;
  const char* why = "";
};

time_wait_judgement judge_time_waits(const port_span& span);

struct report_summary {
  std::vector<report_table> tables;
  std::vector<report_finding> findings;
  std::vector<port_group> groups;      ///< Of two tests and more.
  std::set<std::size_t> shared_spans;  ///< That had a port at once with another test's.
};

/// "127.0.0.1:80/tcp"; of a Unix socket its path.
std::string place_of(const journal_records& records, record_protocol protocol, text_id address,
                     std::uint16_t port);

/// "EADDRINUSE"; "errno 71" for one that a bind does not usually get.
std::string errno_name(int error);

report_summary summarise(const journal_records& records, const report_model& model);

}  // namespace tidewait::command
