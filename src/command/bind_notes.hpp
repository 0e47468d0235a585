// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <tidewait/bind_journal.hpp>

#include "bind_witness.hpp"

namespace tidewait::command {

/// The binds of a run for the journal: those of TCP and UDP, in the order of time.
struct bind_notes {
  std::vector<bind_entry> lines;
  std::size_t left_out = 0;  ///< Calls for which there was no room.
};

/// A run writes that many lines at most: the journal is read from its end, and other tests want to
/// be found there as well.
inline constexpr std::size_t most_bind_notes = 256;

/// Calls of one process that agree in all but the time share a line. Where there are too many,
/// those that failed and those on a port that was asked for come before those on a port that the
/// kernel chose.
bind_notes to_notes(const testimony& seen, const std::string& run, std::size_t most);

/// Adds the calls that led to each bind, from the lines that the witness in a test program has
/// written into the journal: only the process itself knows them. Reads the whole journal.
void add_stacks(testimony& seen);

}  // namespace tidewait::command
