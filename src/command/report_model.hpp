// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>

#include "report_records.hpp"

namespace tidewait::command {

/// Times of a report: microseconds since 1970, by the clock of the machine as it was at its last
/// line. The order within one boot of a machine is that of its uptime, which never jumps.
using report_time = std::int64_t;

/// One boot of a machine.
struct report_machine {
  text_id host = 0;
  text_id boot = 0;
  report_time first = 0, last = 0;
  port_range ephemeral = port_rules{}.ephemeral;
  report_time clock_was_set = 0;  ///< How far the clock moved against the uptime.
};

struct report_process {
  std::size_t machine = 0;
  text_id run = 0;
  int pid = 0;
  text_id program = 0;
  text_id launched = 0;  ///< Of `tidewait run`: the program that it started.
  report_time first = 0, last = 0;
};

/// A test, a suite or a program, while a watch or a launcher was over it.
struct test_run {
  text_id name = 0;   ///< The name to find it by.
  text_id ctest = 0;  ///< CTest's name of it.
  std::size_t process = 0;
  report_time begin = 0, end = 0;
  bool measured = false;   ///< Begin and end are in the journal; otherwise from its first line on.
  bool unended = false;    ///< It began, and no line says that it ended.
  bool container = false;  ///< Another test ran within it in the same process: a suite, a program.
  bool failed = false;     ///< tidewait has failed it, or its launcher has seen it fail.
  std::uint32_t waited = 0;  ///< Milliseconds that the look waited for what was just ending.
};

/// Where a port number comes from.
enum class port_origin : std::uint8_t {
  unknown,  ///< No bind of it was recorded, and it is in the ephemeral range.
  fixed,    ///< The test asked for this number.
  chosen,   ///< The kernel chose it.
  leased
};

/// A socket on a port, from its bind until it was closed.
struct port_span {
  record_protocol protocol = record_protocol::tcp;
  std::uint16_t port = 0;
  text_id address = 0;     ///< Of a Unix socket its path.
  std::size_t test = 0;    ///< Index of a `test_run`.
  std::size_t record = 0;  ///< Index of its first record.
  std::size_t machine = 0;
  text_id net = 0;
  port_origin origin = port_origin::unknown;
  report_time begin = 0;
  report_time end = 0;
  bool end_known = false;  ///< It was closed by then; otherwise it was last known to be open.
  bool bind_seen = false;  ///< A witness has recorded the bind, with its options.
  bool listening = false;
  bool reuse_address = false;
  bool reuse_port = false;
  bool left = false;      ///< Its test has ended and left it open.
  bool reported = false;  ///< And has failed for it.
  socket_state left_state = socket_state::listen;
  report_time time_wait = 0;  ///< When a TIME_WAIT of it was seen; 0: none.
  std::size_t time_waits = 0;
  bool time_wait_reported = false;
};

struct failed_bind_seen {
  std::size_t record = 0;
  std::size_t test = 0;
  report_time time = 0;
  std::size_t count = 1;   ///< Calls.
  text_id held_by = 0;     ///< Who had the port then, as a witness has seen it; may be empty.
  bool time_wait = false;  ///< It was a TIME_WAIT, as far as is known.
  std::size_t holder = std::numeric_limits<std::size_t>::max();  ///< A span that had the port then.
};

/// What the lines of some journals tell together.
struct report_model {
  std::vector<report_machine> machines;
  std::vector<report_process> processes;
  std::vector<test_run> tests;
  std::deque<port_span> spans;
  std::vector<failed_bind_seen> failures;
  std::vector<std::size_t> leases;       ///< Records, one for each lease of a port.
  std::vector<std::size_t> lease_tests;  ///< The test of each.
  std::vector<std::string> caveats;      ///< What the journals cannot tell, in sentences.
};

/// Who had the port of a bind that failed; empty if that is not known.
std::string holder_of(const failed_bind_seen& failed, const journal_records& records,
                      const report_model& model);

/// Whether sockets at two addresses of one port meet: see `overlap`.
bool addresses_meet(const std::string& a, const std::string& b);

/// Puts the records together. `records` gets texts added to its pool.
report_model make_model(journal_records& records);

}  // namespace tidewait::command
