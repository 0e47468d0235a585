// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
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

/// What the test is called that the calling thread runs: by its innermost watch, otherwise by
/// TIDEWAIT_TEST; may be empty.
inline std::string current_test() {
  std::string watched = registry::instance().watched_test();
  return watched.empty() ? test_of_environment() : watched;
}

/// Adds to the journal of this run, if there is one, that a test has these sockets, or has left
/// them. The next look says it if that cannot be written.
inline void write_journal(journal_event event, const std::vector<socket_entry>& sockets,
                          const std::string& test) {
  if (sockets.empty() || journal_path().empty()) return;
  const std::vector<lease_note> leases = registry::instance().leases_to_judge();
  const std::uint64_t here = current_net_cookie();
  std::vector<journal_entry> entries;
  for (const socket_entry& socket : sockets) {
    journal_entry entry{event, test, test_of_environment(), socket, here, ::getpid(),
                        {},    {},   wall_clock()};
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

/// What the journal of this run tells of the ports of some sockets.
class journal_search {
 public:
  explicit journal_search(const std::vector<socket_entry>& sockets) {
    if (journal_path().empty()) return;
    line_ = own_line();
    std::vector<std::uint16_t> ports;
    for (const socket_entry& each : sockets) ports.push_back(each.local.port);
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    std::vector<std::string> ends;  // of an endpoint in a line
    for (const std::uint16_t port : ports) ends.push_back(':' + std::to_string(port) + '"');
    const std::uint64_t here = current_net_cookie();
    const std::uint64_t boot = boot_time();
    for_each_journal_line([&](std::string_view line) {
      constexpr std::size_t few = 8;  // then it pays to pass over lines without reading them
      const bool may_concern =
          ends.size() > few || std::any_of(ends.begin(), ends.end(), [&](const std::string& end) {
            return line.find(end) != std::string_view::npos;
          });
      if (!may_concern) return;
      auto entry = parse_journal_line(line);
      if (!entry || entry->net_cookie != here || entry->time < boot) return;
      // A launcher around this test and others does not know one from the other.
      if (seen_from_around(*entry) && entry->ctest_name != test_of_environment()) return;
      entries_.push_back(std::move(*entry));
    });
    for (const journal_entry& each : entries_) by_cookie_.push_back(&each);
    std::stable_sort(by_cookie_.begin(), by_cookie_.end(), before);
  }

  /// Whether the line is of a test that runs here: in this process or, by CTest's name, around it.
  bool is_of_running_test(const journal_entry& entry) const {
    const std::string around = test_of_environment();
    if (entry.pid == ::getpid())
      return registry::instance().is_watched(entry.test) || entry.test == around;
    return seen_from_around(entry) || (entry.event == journal_event::listening && !around.empty() &&
                                       entry.ctest_name == around);
  }

  /// Who was the first to leave the socket, or else to be noted with it; null if nobody was. A
  /// launcher finds later what a test has left.
  const journal_entry* of(const socket_entry& socket) const {
    journal_entry key;
    key.socket.cookie = socket.cookie;
    const auto lines = std::equal_range(by_cookie_.begin(), by_cookie_.end(), &key, before);
    const journal_entry* found = nullptr;
    for (auto each = lines.first; each != lines.second && socket.cookie != 0; ++each) {
      if ((*each)->socket.protocol != socket.protocol || !((*each)->socket.local == socket.local))
        continue;
      const bool first_to_leave = found != nullptr && found->event == journal_event::listening &&
                                  (*each)->event == journal_event::left;
      if (found == nullptr || first_to_leave) found = *each;
    }
    return found;
  }

  /// Who was noted on the port last, by another process; null if that was too long ago for a
  /// TIME_WAIT of now. What this process had, its own looks have noted by cookie.
  const journal_entry* last_on(protocol which, std::uint16_t port) const {
    const auto last =
        std::find_if(entries_.rbegin(), entries_.rend(), [&](const journal_entry& each) {
          return each.socket.protocol == which && each.socket.local.port == port;
        });
    constexpr std::uint64_t recent = 1800000;  // CTest ends a test after 25 minutes
    const bool counts =
        last != entries_.rend() && last->pid != ::getpid() && last->time + recent > wall_clock();
    return counts ? &*last : nullptr;
  }

 private:
  static bool before(const journal_entry* a, const journal_entry* b) noexcept {
    return a->socket.cookie < b->socket.cookie;
  }

  /// Noted by a process that has started this one: its launcher.
  bool seen_from_around(const journal_entry& entry) const {
    return entry.event == journal_event::listening && entry.pid != ::getpid() &&
           std::find(line_.begin(), line_.end(), entry.pid) != line_.end();
  }

  std::vector<int> line_;  // of those who started this process
  std::vector<journal_entry> entries_;
  std::vector<const journal_entry*> by_cookie_;
};

/// The name to find the test by: CTest's, and the watch's where that says more.
inline std::string full_name(const journal_entry& entry) {
  const std::string& outer = entry.ctest_name;
  if (outer.empty()) return entry.test;
  const bool says_all =
      outer.size() >= entry.test.size() &&
      outer.compare(outer.size() - entry.test.size(), std::string::npos, entry.test) == 0;
  return says_all ? outer : entry.test + " (" + outer + ')';
}

/// Which sockets are to be named.
enum class sockets_are : std::uint8_t {
  there,  ///< On a port that somebody wants.
  left,   ///< Found by a look: this test's, unless another program holds them.
};

/// Names at each socket the other test that left it, or has it: by the journal, where it is known
/// by its cookie; a TIME_WAIT, which has the cookie of a connection, by the last test that was
/// noted on its port; otherwise by what its holder has in TIDEWAIT_TEST.
inline void name_other_tests(std::vector<socket_entry>& sockets, sockets_are what) {
  if (sockets.empty()) return;
  const journal_search journal{sockets};
  for (socket_entry& socket : sockets) {
    const bool ours = std::any_of(socket.owners.begin(), socket.owners.end(),
                                  [](const process& each) { return each.ours(); });
    const bool only_if_left =
        ours || (what == sockets_are::left && socket.owned != ownership::found);
    const journal_entry* entry = journal.of(socket);
    if (entry == nullptr && what == sockets_are::there && socket.state == socket_state::time_wait)
      entry = journal.last_on(socket.protocol, socket.local.port);
    if (entry != nullptr && journal.is_of_running_test(*entry)) continue;
    if (entry != nullptr && (entry->event == journal_event::left || !only_if_left)) {
      socket.test = full_name(*entry);
      socket.left = entry->event == journal_event::left;
    } else if (!ours && !socket.owners.empty() &&
               socket.owners.front().test != test_of_environment()) {
      socket.test = socket.owners.front().test;
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
