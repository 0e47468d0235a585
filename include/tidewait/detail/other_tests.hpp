// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/journal_lines.hpp>
#include <tidewait/detail/json_line.hpp>
#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/test_name.hpp>
#include <tidewait/error.hpp>
#include <tidewait/journal.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the test is called that the calling thread runs: by its innermost watch, otherwise by
/// TIDEWAIT_TEST; may be empty.
inline std::string current_test(const shared_state& shared) {
  std::string watched = shared.watches.current_test();
  return watched.empty() ? test_of_environment() : watched;
}

/// Tells the user once what is wrong with this journal.
inline void note_journal(messages& told, const opened_file& file, std::string_view what) {
  std::string text = "the journal " + sanitised(journal_path());
  if (file.error == errc::untrusted_file) {
    text += " is not used: " + file.why +
            "; TIDEWAIT_JOURNAL must name a regular file to which only "
            "this user may write, or one that is not there yet";
  } else {
    text.append(" cannot be ").append(what) += ": " + file.error.message();
  }
  told.note("journal " + std::string{journal_path()}, std::move(text));
}

/// Likewise of what was written, if it was not.
inline void note_journal(messages& told, const opened_file& written) {
  if (written.error) note_journal(told, written, "written");
}

/// Adds to the journal, if there is one, that a test has these sockets, shares their ports, or has
/// left them, and of which (by their cookies) its report says so and fails it. The next look says
/// it if that cannot be written.
inline void write_journal(shared_state& shared, journal_event event,
                          const std::vector<observed_socket>& sockets, const std::string& test,
                          const std::vector<std::uint64_t>& reported = {}) {
  if (sockets.empty() || journal_path().empty()) return;
  const std::vector<lease_note> leases = shared.leases.to_judge();
  const std::uint64_t here = current_net_cookie();
  std::string lines;
  for (const observed_socket& socket : sockets) {
    journal_entry entry;
    entry.event = event;
    entry.test = test;
    entry.ctest_name = test_of_environment();
    entry.socket = socket;
    entry.net_cookie = here;
    entry.pid = process_id();
    entry.run = ensure_run_mark();
    entry.time = wall_clock();
    entry.host = host_name();
    entry.boot = boot_id();
    entry.uptime = uptime();
    entry.reported = std::find(reported.begin(), reported.end(), socket.cookie) != reported.end();
    if (!socket.owners.empty()) entry.command = socket.owners.front().command;
    for (const lease_note& lease : leases) {
      if (lease.port == socket.local.port && includes(lease.kind, socket.protocol))
        entry.leased_at = to_text(lease.where);
    }
    lines += to_json_line(entry);
  }
  note_journal(shared.told, shared.journal.flush(lines));
}

/// Of the name of another test a report shows that much, in bytes.
inline constexpr std::size_t longest_test_name = 200;

/// The name to find the test by.
inline std::string full_name(const journal_entry& entry) {
  return full_test_name(sanitised(entry.test, longest_test_name),
                        sanitised(entry.ctest_name, longest_test_name));
}

/// What the journal tells of the ports of some sockets.
class journal_search {
 public:
  journal_search(const journal_search&) = delete;  // by_cookie_ points into it
  journal_search& operator=(const journal_search&) = delete;
  journal_search(shared_state& shared, const std::vector<observed_socket>& sockets)
      : watches_{&shared.watches} {
    if (journal_path().empty()) return;
    std::vector<std::uint16_t> ports;
    for (const observed_socket& each : sockets) ports.push_back(each.local.port);
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    std::vector<std::string> ends;  // of an endpoint in a line
    for (const std::uint16_t port : ports) ends.push_back(':' + std::to_string(port) + '"');
    const std::uint64_t here = current_net_cookie();
    const std::uint64_t boot = boot_time();
    const opened_file file = for_each_journal_line([&](std::string_view line) {
      constexpr std::size_t few = 8;  // then it pays to pass over lines without reading them
      const bool may_concern =
          ends.size() > few || std::any_of(ends.begin(), ends.end(), [&](const std::string& end) {
            return line.find(end) != std::string_view::npos;
          });
      if (!may_concern) return;
      auto entry = parse_journal_line(line);
      if (!entry || entry->net_cookie != here || entry->time < boot) return;
      if (entry->event == journal_event::shared) return;  // the socket has other lines
      // A launcher around this test and others does not know one from the other.
      if (entry->event == journal_event::listening && is_from_around(*entry) &&
          entry->ctest_name != test_of_environment()) {
        return;
      }
      entries_.push_back(std::move(*entry));
    });
    if (file.error && file.error != std::errc::no_such_file_or_directory)
      note_journal(shared.told, file, "read");
    for (const journal_entry& each : entries_) by_cookie_.push_back(&each);
    std::stable_sort(by_cookie_.begin(), by_cookie_.end(), before);
  }

  bool empty() const noexcept { return entries_.empty(); }

  /// Whether the line is of a test that runs here: in this process or, by CTest's name, around it.
  bool is_of_running_test(const journal_entry& entry) const {
    const std::string name = test_of_environment();
    if (is_from_here(entry)) return watches_->has(entry.test) || entry.test == name;
    const bool same_name = !name.empty() && entry.ctest_name == name;
    const bool around = is_from_around(entry);
    return entry.event == journal_event::listening
               ? around || same_name
               : around && same_name && ctest_name_says_all(entry.ctest_name, entry.test);
  }

  /// Who was the first to leave the socket, or else to be noted with it; null if nobody was. A
  /// launcher finds later what a test has left.
  const journal_entry* of(const observed_socket& socket) const {
    journal_entry key;
    key.socket.cookie = socket.cookie;
    const auto lines = std::equal_range(by_cookie_.begin(), by_cookie_.end(), &key, before);
    const journal_entry* found = nullptr;
    for (auto each = lines.first; each != lines.second && socket.cookie != 0; ++each) {
      if ((*each)->socket.protocol != socket.protocol || !((*each)->socket.local == socket.local))
        continue;
      const bool first_to_leave = found != nullptr && found->event == journal_event::listening &&
                                  (*each)->event == journal_event::left_behind;
      if (found == nullptr || first_to_leave) found = *each;
    }
    return found;
  }

  /// Who was noted last where this TIME_WAIT comes from, before it began; null if nobody was, or if
  /// it began later than `since`: then it may be of the test that asks.
  const journal_entry* last_before(const observed_socket& time_wait, std::uint64_t since) const {
    constexpr std::uint64_t whole = 60000;  // TCP_TIMEWAIT_LEN, include/net/tcp.h
    constexpr std::uint64_t a_sample = 100;
    constexpr std::uint64_t a_test = 1500000;  // CTest ends it after 25 minutes
    if (!time_wait.time_left) return nullptr;
    const std::uint64_t began =
        wall_clock() - whole + static_cast<std::uint64_t>(time_wait.time_left->count());
    if (began >= since) return nullptr;
    const auto last =
        std::find_if(entries_.rbegin(), entries_.rend(), [&](const journal_entry& each) {
          return each.socket.protocol == time_wait.protocol && each.time < began + a_sample &&
                 overlap(each.socket.local, ipv6_only::no, time_wait.local, ipv6_only::no);
        });
    return last != entries_.rend() && last->time + a_test > began ? &*last : nullptr;
  }

 private:
  static bool before(const journal_entry* a, const journal_entry* b) noexcept {
    return a->socket.cookie < b->socket.cookie;
  }

  static bool is_from_here(const journal_entry& entry) {
    return entry.pid == process_id() && entry.run == ensure_run_mark();
  }

  /// Whether whoever wrote the line has started this process, such as its launcher.
  static bool is_from_around(const journal_entry& entry) {
    if (is_from_here(entry)) return false;
    const char* const marks = environment(run_variable);
    return marks != nullptr && has_mark(marks, entry.run);
  }

  const watch_stack* watches_;
  std::vector<journal_entry> entries_{};
  std::vector<const journal_entry*> by_cookie_{};
};

/// Which sockets are to be named.
enum class sockets_are : std::uint8_t {
  there,  ///< On a port that somebody wants.
  left,   ///< Found by a look: this test's, unless another program holds them.
};

/// Names at each socket the other test that left it, or has it: by the journal, where it is known
/// by its cookie; a TIME_WAIT from before this test, which has the cookie of a connection, by the
/// last test that was noted there; otherwise by what its holder has in TIDEWAIT_TEST.
inline void name_other_tests(shared_state& shared, std::vector<observed_socket>& sockets,
                             sockets_are what) {
  if (sockets.empty()) return;
  const journal_search journal{shared, sockets};
  std::optional<test_context> known;
  const auto around = [&known]() -> const test_context& {
    if (!known) known = read_test_context();
    return *known;
  };
  for (observed_socket& socket : sockets) {
    const bool ours = any_ours(socket.owners);
    const bool only_if_left =
        ours || (what == sockets_are::left && socket.owned != ownership::found);
    if (const journal_entry* const entry = journal.of(socket)) {
      if (journal.is_of_running_test(*entry)) continue;
      if (entry->event == journal_event::left_behind || !only_if_left) {
        socket.test = full_name(*entry);
        socket.left_behind = entry->event == journal_event::left_behind;
        continue;
      }
    }
    if (what == sockets_are::there && socket.state == socket_state::time_wait && !journal.empty()) {
      const journal_entry* const entry = journal.last_before(socket, around().since);
      if (entry != nullptr && !journal.is_of_running_test(*entry)) socket.test = full_name(*entry);
    } else if (!ours && !socket.owners.empty() && !socket.owners.front().test.empty()) {
      const std::string& test = socket.owners.front().test;
      const auto& outer = around().tests;
      if (test != around().test && std::find(outer.begin(), outer.end(), test) == outer.end())
        socket.test = sanitised(test, longest_test_name);
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
