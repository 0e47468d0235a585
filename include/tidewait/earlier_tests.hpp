// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/journal.hpp>
#include <tidewait/registry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Adds to the journal of this run, if there is one, that a test has had these sockets, or left
/// them. The next look says it if that cannot be written.
inline void write_journal(journal_event event, const std::vector<socket_entry>& sockets,
                          const std::string& test, const std::vector<lease_note>& leases) {
  if (sockets.empty() || journal_path().empty()) return;
  std::vector<journal_entry> entries;
  const std::uint64_t here = current_net_cookie();
  for (const socket_entry& socket : sockets) {
    journal_entry entry{event, test, socket, here, ::getpid(), {}, {}, wall_clock()};
    if (!socket.owners.empty()) entry.command = socket.owners.front().command;
    for (const lease_note& lease : leases) {
      if (lease.port == socket.local.port && includes(lease.kind, socket.protocol))
        entry.leased_at = to_text(lease.where);
    }
    entries.push_back(std::move(entry));
  }
  if (const auto error = append_journal(entries)) {
    registry::instance().note("journal", "the journal " + std::string{journal_path()} +
                                             " cannot be written: " + error.message());
  }
}

/// Remembers that these listeners (of UDP: a server's sockets) are this process tree's: a TIME_WAIT
/// on such a port is, too, and a conflict can name the test.
inline void note_own_listeners(const std::vector<socket_entry>& sockets, const std::string& test) {
  registry& shared = registry::instance();
  for (const socket_entry& socket : sockets) {
    if (socket.protocol == protocol::tcp) shared.note_own_listener(socket.local.port);
  }
  write_journal(journal_event::listening, sockets, test, shared.leases_to_judge());
}

/// What the tests that run in this process are called, by whoever started it and by their watches;
/// the last is the name for what is noted now.
inline std::vector<std::string> running_tests() {
  std::vector<std::string> names{test_of_environment()};
  for (std::string& name : registry::instance().watched_tests()) names.push_back(std::move(name));
  return names;
}

/// Names at each socket the other test of this run that left it, or has it: by cookie; a TIME_WAIT,
/// which has the cookie of a connection, by whoever used its port last.
inline void name_earlier_tests(std::vector<socket_entry>& sockets) {
  if (sockets.empty() || journal_path().empty()) return;
  // The journal may be older than this run. A test takes less (CTest: 25 minutes), and a TIME_WAIT
  // a minute.
  constexpr std::uint64_t recent = 30 * 60 * 1000;
  const std::uint64_t now = wall_clock();
  const std::uint64_t here = current_net_cookie();
  const std::vector<journal_entry> journal = read_journal();
  const std::vector<std::string> running = running_tests();
  const std::vector<int> line = own_line();
  // Noted of a test that runs here, or by whoever runs it, such as a launcher, by whatever name.
  const auto is_own = [&](const journal_entry& entry) {
    return entry.event == journal_event::listening &&
           (std::find(running.begin(), running.end(), entry.test) != running.end() ||
            (entry.pid != ::getpid() &&
             std::find(line.begin(), line.end(), entry.pid) != line.end()));
  };
  for (socket_entry& socket : sockets) {
    const journal_entry* by_port = nullptr;
    const journal_entry* by_cookie = nullptr;
    for (const journal_entry& entry : journal) {
      if (entry.socket.protocol != socket.protocol || entry.net_cookie != here) continue;
      // Who left it is known better than who else saw it.
      if (socket.cookie != 0 && entry.socket.cookie == socket.cookie &&
          (by_cookie == nullptr || by_cookie->event != journal_event::left ||
           entry.event == journal_event::left)) {
        by_cookie = &entry;
      }
      if (entry.socket.local.port == socket.local.port && entry.time + recent > now)
        by_port = &entry;
    }
    const journal_entry* const found =
        by_cookie == nullptr && socket.state == socket_state::time_wait ? by_port : by_cookie;
    if (found == nullptr || is_own(*found)) continue;
    socket.test = found->test;
    socket.left = found->event == journal_event::left;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
