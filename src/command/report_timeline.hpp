// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "report_output.hpp"

namespace tidewait::command {

/// A socket, or a bind that failed, on the timeline.
struct timeline_mark {
  std::size_t run = 0;   ///< Its `test_run`.
  std::size_t span = 0;  ///< Its span, or of a failed bind its failure.
  bool is_failure = false;
  std::uint32_t lane = 0;
  std::uint32_t track = 0;  ///< Below the test, 0 to 3.
  report_time begin = 0, end = 0;
};

/// Where everything stands on the timeline. Processes that were not there at once share a lane.
struct timeline {
  report_time begin = 0, end = 0;
  std::vector<std::string> lanes;      ///< What each is called.
  std::vector<std::uint32_t> tracks;   ///< How many tracks each has.
  std::vector<std::uint32_t> lane_of;  ///< Of each process.
  std::vector<std::size_t> runs;       ///< Of tests, in order of time.
  std::vector<timeline_mark> marks;    ///< In order of time.
};

timeline lay_out(const journal_report& report);

/// The drawing for readers without JavaScript: as much of it as fits into a small page.
std::string draw(const journal_report& report, const timeline& layout);

/// What the page's script draws from, as a JSON object; docs/report.md describes it. `row_of`: the
/// row of each text_id in the table of tests.
std::string pack(const journal_report& report, const timeline& layout,
                 const std::vector<std::uint32_t>& row_of);

}  // namespace tidewait::command
