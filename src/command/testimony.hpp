// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <tidewait/bind_journal.hpp>
#include <tidewait/diagnosis.hpp>
#include <tidewait/visibility.hpp>

#include "witnessed_bind.hpp"

namespace tidewait::command {

/// A bind that failed with EADDRINUSE, EACCES or EADDRNOTAVAIL, and how often.
struct failed_bind {
  witnessed_bind first;
  std::optional<diagnosis> why;  ///< Taken while the first caller waited; none of a Unix socket.
  std::size_t count = 1;         ///< Of the same endpoint, error and, as far as seen, culprit.
  std::chrono::steady_clock::time_point looked;  ///< When it was last seen who is the culprit.
};

/// What a run's witness has to say.
struct testimony {
  gap absent;           ///< Why nobody watched; empty if somebody did.
  bool broken = false;  ///< The witness had to give up: later binds of the command got ENOSYS.
  std::vector<witnessed_bind> binds;
  std::vector<failed_bind> failures;
  std::size_t unrecorded = 0;
  std::size_t unexplained = 0;
};

/// Whether a line of the journal is about this bind.
bool is_of(const bind_entry& entry, const witnessed_bind& bind);

/// Who held the endpoint when that bind failed: "pid 799 redis-server (test CacheTest.Evicts,
/// running now)"; "" if that is not known.
std::string describe_holder(const witnessed_bind& failed, const testimony& seen);

/// "2 binds failed while this ran", or "so far" if it still does, each with who holds the port and
/// what to do; "" if none failed.
std::string describe_failures(const testimony& seen, bool still_running = false);

/// "EADDRINUSE"; "errno 71" for one that a bind does not usually get.
std::string error_name(const std::error_code& error);

}  // namespace tidewait::command
