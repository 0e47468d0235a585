// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>

#include <tidewait/detail/audit.hpp>
#include <tidewait/detail/end_table.hpp>
#include <tidewait/detail/failed_binds.hpp>
#include <tidewait/detail/lease_book.hpp>
#include <tidewait/detail/lease_cursor.hpp>
#include <tidewait/detail/messages.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/program_tally.hpp>
#include <tidewait/detail/shared_ports.hpp>
#include <tidewait/detail/sightings.hpp>
#include <tidewait/detail/test_journal.hpp>
#include <tidewait/detail/unix_book.hpp>
#include <tidewait/detail/watch_stack.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What leases and looks of this process must know of each other. `watch`, `port_lease` and the
/// functions that a user calls get it by `instance()` and hand it down; nothing below them asks for
/// it. A child of fork() starts with a copy, in which the leases and watches of its parent are not
/// its own.
struct shared_state {
  /// Never destroyed: leases and looks may come as late as the destructors of the user's globals.
  static shared_state& instance() {
    static shared_state* const only = [] {
      shared_state* const found = &find_process_state<shared_state>();
      // A fork in another thread must not copy a mutex that is locked. Each copy of tidewait has
      // handlers of its own, since those of a library go when it is unloaded.
      at_fork([] { instance().before_fork(); }, [] { instance().after_fork(false); },
              [] { instance().after_fork(true); });
      return found;
    }();
    return *only;
  }
  static constexpr const char* name = "tidewait-registry";
  meeting_point* met = nullptr;  ///< With other copies of tidewait in this process.

  lease_book leases{};
  sightings seen{};
  watch_stack watches{};
  messages told{};
  audit tolerated{};
  environment_policy outside{};
  program_tally counts{};
  journal_backlog journal{};
  unix_book unix_sockets{};
  bind_log binds{};
  failed_binds failed{};
  shared_ports shared{};
  end_table at_end{};

  std::mutex searching{};  ///< One search for ports to lease at a time; taken before the others.
  lease_cursor cursor{};   ///< Where it goes on.

 private:
  std::array<std::mutex*, 13> mutexes() {
    return {&searching,       &leases.mutex(),    &seen.mutex(),    &watches.mutex(),
            &told.mutex(),    &tolerated.mutex(), &outside.mutex(), &counts.mutex(),
            &journal.mutex(), &failed.mutex(),    &at_end.mutex(),  &unix_sockets.mutex(),
            &shared.mutex()};
  }
  void before_fork() {
    if (forking_ == this_thread()) {
      ++fork_handlers_;
      return;
    }
    for (std::mutex* const each : mutexes()) each->lock();
    forking_ = this_thread();
    fork_handlers_ = 1;
  }
  void after_fork(bool in_child) {
    if (--fork_handlers_ != 0) return;
    forking_ = nullptr;
    if (in_child) {
      leases.forget();
      watches.forget();
      told.forget();
      tolerated.forget();
      failed.forget();
      shared.forget();
      at_end.forget();
      counts.forget();
      journal.forget();
      unix_sockets.forget();
    } else {
      unix_sockets.forked();
    }
    for (std::mutex* const each : mutexes()) each->unlock();
  }

  std::atomic<const void*> forking_{nullptr};  // the thread that has locked all for a fork
  int fork_handlers_ = 0;
};

inline void program_tally::at_exit() {
  program_tally& counts = shared_state::instance().counts;
  if (!counts.ends_later_) counts.end();
}

inline void journal_backlog::at_exit() {
  ending() = true;
  shared_state::instance().journal.flush();
}

/// Ends a lease. Its locks are kept while its port is not clean.
inline void end_lease(shared_state& shared, const lease_note& lease, port_locks locks) {
  const bool clean = port_is_clean(lease);
  if (!clean && lease.net_namespace != current_net_namespace()) {
    const std::string port = std::to_string(lease.port);
    shared.told.note("ended_elsewhere " + port,
                     "the lease of port " + port +
                         " ended in another network namespace than its own: the port was not "
                         "looked at");
  }
  shared.leases.end(lease, std::move(locks), clean);
}

/// Takes the locks again that the program under test has closed. The next look says so, and fails
/// for a lock that somebody else has taken.
inline void renew_leases(shared_state& shared) {
  const lost_descriptors lost = shared.leases.renew();
  for (const lease_note& each : lost.locks_renewed) shared.told.add_note(lock_renewed(each));
  for (const lease_note& each : lost.holds) shared.told.add_note(hold_lost(each));
  for (const lease_note& each : lost.locks_gone) shared.told.add_incident(lock_gone(each));
}

/// Has the list of what these rules let pass printed at the end of the program.
inline void begin_audit(shared_state& shared, const policy& rules) {
  if (shared.tolerated.begin(rules)) {
    std::atexit([] { shared_state::instance().tolerated.print(); });
  }
}

/// Has a line printed at the end of the program.
inline void tell_at_end(shared_state& shared, end_table::topic about,
                        std::vector<std::string> cells) {
  shared.at_end.add(about, std::move(cells));
  if (shared.at_end.begin()) {
    std::atexit([] { shared_state::instance().at_end.print(); });
  } else if (shared.at_end.ended()) {
    shared.at_end.print();  // a look after the last handler of atexit(3)
  }
}

/// Hands in what went wrong beside the sockets. False if no watch is there to report it: then the
/// text is not kept.
inline bool hand_in_incident(shared_state& shared, std::string text) {
  if (shared.watches.empty()) return false;
  shared.told.add_incident(std::move(text));
  return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
