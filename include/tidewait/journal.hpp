// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/detail/compiled.hpp>
#include <tidewait/error.hpp>
#include <tidewait/socket_entry.hpp>

namespace tidewait {
inline namespace v0 {

/// The environment variable that names the journal: a regular file to which the processes of one
/// run, or of several, append which test had which socket, so that a conflict names the other test.
/// Unset, or in a setuid program: no journal.
///
/// Only a file that belongs to this user, to which nobody else may write, and which is no link is
/// read or written: what others can write could name an innocent test. One that is not there is
/// made so.
inline constexpr const char* journal_variable = "TIDEWAIT_JOURNAL";
/// What a line of the journal says of a socket.
enum class journal_event : std::uint8_t {
  listening,    ///< A listener (of UDP: a server's socket), seen while the test ran.
  left_behind,  ///< Found after the test, and judged by its policy.
  shared,       ///< Another program served on its port while the test ran; judged likewise.
};

/// One line of the journal.
struct journal_entry {
  journal_event event = journal_event::left_behind;  ///< What the line is about.
  std::string test{};                                ///< As its watch calls it, or its launcher.
  std::string ctest_name{};                          ///< As TIDEWAIT_TEST calls it; may be empty.
  socket_entry socket{};                             ///< Protocol, state, local endpoint, cookie.
  std::uint64_t net_cookie = 0;                      ///< Its network namespace (SO_NETNS_COOKIE).
  int pid = 0;                                       ///< The process that looked.
  std::string run{};         ///< Its own mark, which what it starts has in TIDEWAIT_RUN.
  std::string command{};     ///< Of the first owner; may be empty.
  std::string leased_at{};   ///< "file:line"; empty if the port was not leased.
  std::uint64_t time = 0;    ///< Milliseconds since 1970.
  bool reported = false;     ///< Of what was judged: the test has failed for it and said so.
  std::string host{};        ///< Node name of the machine (uname(2)); empty: not known.
  std::string boot{};        ///< Boot id of the machine (random(4)); empty: not known.
  std::uint64_t uptime = 0;  ///< Microseconds since boot, no jumps (CLOCK_BOOTTIME); 0: not known.
};

/// One entry as a line of JSON, with its end: a flat object of strings and whole numbers, its first
/// field the version of the format.
std::string to_json_line(const journal_entry& entry);

/// Reads one line; nothing if it is torn, of another version of the format, or of an event that is
/// not known here. Fields that are not known are passed over; of the others only texts may be
/// missing.
std::optional<journal_entry> parse_journal_line(std::string_view text);

/// The path of this run's journal; empty if there is none.
std::string_view journal_path() noexcept;

/// Appends to the journal of this run, if there is one; a line is written at once, so that lines of
/// several processes do not mix. The error is the system's, or `errc::untrusted_file`.
std::error_code append_journal(const std::vector<journal_entry>& entries);

/// The journal of this run, oldest entry first; empty if there is none, or if it cannot be read or
/// is not to be trusted. Of one that is longer than 8 MiB the newest entries.
std::vector<journal_entry> read_journal();

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/journal.hpp>
#endif
