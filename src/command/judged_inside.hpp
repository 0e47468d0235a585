// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include <tidewait/bind_journal.hpp>
#include <tidewait/detail/unix_journal.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/policy.hpp>

#include "run_report.hpp"
#include "witnessed_bind.hpp"

namespace tidewait::command {

/// What the looks of programs inside the command have judged, as the journal has it. They know
/// their tests, and the launcher does not judge it once more.
class judged_inside {
 public:
  /// `since`: when the command began, in milliseconds since 1970. `own`: rules that the launcher
  /// has and its environment has not. If one of them makes something fail, the launcher has to
  /// judge by it what passed inside.
  judged_inside(std::uint64_t since, const policy& own);

  /// Has the looks of this process pass it over.
  void mark_handled() const;
  /// Whether the process that made the call has judged it.
  bool has(const witnessed_bind& bind) const;
  /// Whether a test has told that another program shared the port of this socket.
  bool has_told_sharing(const observed_socket& socket) const;

  /// Of what tests have failed for, what is still there.
  std::vector<told_by_test> still_there() const;
  /// How much tests of this name, as CTest calls them, have failed for.
  std::size_t reported_by(const std::string& ctest_name) const;

 private:
  std::vector<journal_entry> sockets_;
  std::vector<detail::left_unix> unix_sockets_;
  std::unordered_multimap<std::uint64_t, bind_entry> binds_;  // by cookie
};

}  // namespace tidewait::command
