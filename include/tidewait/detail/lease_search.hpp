// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/detail/os_calls.hpp>
#include <tidewait/detail/os_words.hpp>
#include <tidewait/detail/raw_lease.hpp>
#include <tidewait/detail/shared_state.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// Why candidates were passed over.
struct lease_tally {
  std::size_t tried = 0;
  std::size_t locked = 0;
  std::size_t taken = 0;
  std::size_t not_permitted = 0;
  std::vector<std::pair<protocol, std::uint16_t>> locks{};  ///< Some of the locked ones.
};
inline constexpr std::size_t most_locks_asked = 256;

/// Errors that every further candidate would give, too. `refusal`: what else may be the cause.
[[noreturn]] inline void give_up(const std::error_code& error, const std::string& doing,
                                 const char* refusal) {
  std::string cause = refusal;
  if (error == std::errc::too_many_files_open) {
    cause = "this process has no descriptor left: look for a descriptor leak, or ";
    cause += raise_descriptor_limit;
  } else if (error == std::errc::too_many_files_open_in_system) {
    cause = "this machine has no open file left: see fs.file-max";
  } else if (error == std::errc::no_buffer_space || error == std::errc::not_enough_memory) {
    cause = "the kernel has no memory for another socket: see the memory limit of the container";
  }
  throw lease_error{error, doing, cause};
}

[[noreturn]] inline void give_up_locking(const std::error_code& error) {
  give_up(error, "locking a port", locks_need);
}

/// Takes all locks of a candidate, or none.
inline bool lock_candidate(raw_lease& lease, lease_tally& tally) {
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (!includes(lease.note.kind, which)) continue;
    kept_fd& lock = lease.locks[which == protocol::tcp ? 0 : 1];
    const auto error = lock_port(which, lease.note.port, lock);
    if (!error) continue;
    if (which == protocol::udp) lease.locks[0].reset();
    if (error != std::errc::address_in_use) give_up_locking(error);
    ++tally.locked;
    if (tally.locks.size() < most_locks_asked) tally.locks.emplace_back(which, lease.note.port);
    return false;
  }
  return true;
}

/// Locks further candidates until `batch` has as many as are missing. `next` becomes each of them;
/// it brings a socket for its lock, and keeps it for the next port while locks fail.
inline void lock_batch(std::vector<raw_lease>& batch, std::size_t missing, candidate_turn& turn,
                       raw_lease& next, lease_tally& tally) {
  while (batch.size() < missing) {
    const auto port = turn.next();
    if (!port) return;
    ++tally.tried;
    next.note.port = *port;  // NOLINT(bugprone-use-after-move): numbers stay, locks are made anew
    if (lock_candidate(next, tally)) batch.push_back(std::move(next));
  }
}

/// Keeps those of the locked candidates whose ports are free. All are asked at once, since a
/// process with threads asks in a helper thread.
inline void keep_free(std::vector<raw_lease>& batch, bool hold, lease_tally& tally) {
  std::vector<std::error_code> answers(batch.size());
  if (hold) {
    for (std::size_t i = 0; i < batch.size(); ++i)
      answers[i] = hold_port(batch[i].note.port, batch[i].hold);
  } else {
    in_private_descriptor_table([&] {
      for (std::size_t i = 0; i < batch.size(); ++i) {
        for (const protocol which : {protocol::tcp, protocol::udp}) {
          if (answers[i] || !includes(batch[i].note.kind, which)) continue;
          answers[i] = try_whole_port(which, batch[i].note.port);
        }
      }
    });
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (answers[i] == std::errc::address_in_use) {
      ++tally.taken;
    } else if (answers[i] == std::errc::permission_denied) {
      ++tally.not_permitted;
    } else if (answers[i]) {
      give_up(answers[i], "probing port " + std::to_string(batch[i].note.port), probes_need);
    } else {
      if (kept != i) batch[kept] = std::move(batch[i]);
      ++kept;
    }
  }
  batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(kept), batch.end());
}

/// One turn through the candidates; fewer than `count` if there are not enough.
inline std::vector<raw_lease> take_turn(lease_cursor& cursor, std::size_t count, lease_shape shape,
                                        raw_lease& next, lease_tally& tally) {
  std::vector<raw_lease> found;
  std::vector<raw_lease> batch;
  candidate_turn turn{cursor.candidates, shape};
  const bool in_a_row = shape == lease_shape::contiguous;
  const bool hold =
      can_hold_ports && cursor.candidates.inside_ephemeral && next.note.kind == protocol_set::tcp;
  while (found.size() < count) {
    batch.clear();
    lock_batch(batch, in_a_row ? 1 : count - found.size(), turn, next, tally);
    if (batch.empty()) break;
    keep_free(batch, hold, tally);
    for (raw_lease& lease : batch) {
      if (in_a_row && !found.empty() && lease.note.port != found.back().note.port + 1)
        found.clear();
      found.push_back(std::move(lease));
    }
  }
  return found;
}

/// "pid 12 (net_tests): 40, pid 13: 20", who holds the most first.
inline std::string describe_holders(const lease_tally& tally) {
  std::vector<std::pair<int, std::size_t>> holders;
  std::size_t asked = 0;
  for (const auto& [which, port] : tally.locks) {
    const auto holder = lock_holder(which, port);
    if (!holder) continue;  // unlocked meanwhile
    ++asked;
    auto known = std::find_if(holders.begin(), holders.end(),
                              [&](const auto& each) { return each.first == *holder; });
    if (known == holders.end()) known = holders.insert(known, {*holder, 0});
    ++known->second;
  }
  std::stable_sort(holders.begin(), holders.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> parts;
  for (const auto& [pid, locks] : holders) {
    std::string text = "pid " + std::to_string(pid);
    if (pid == process_id()) {
      text = "this process";
    } else if (pid == 0) {
      text = "processes that are not visible";
    } else if (const std::string name = process_name(pid); !name.empty()) {
      text += " (" + name + ')';
    }
    parts.push_back(text + ": " + std::to_string(locks));
  }
  constexpr std::size_t most_named = 5;
  if (parts.size() > most_named) {
    parts[most_named] = counted(parts.size() - most_named, "other");
    parts.resize(most_named + 1);
  }
  const std::string sample = asked < tally.locked ? "of " + std::to_string(asked) + " asked, " : "";
  return parts.empty() ? std::string{} : " (" + sample + joined(parts, ", ") + ')';
}

/// "tried 100 ports: 60 locked by leases (pid 12: 40, pid 13: 20), 40 taken by other sockets, …".
inline std::string explain(const lease_tally& tally, const port_candidates& candidates,
                           std::size_t count, lease_shape shape) {
  std::string text = "tried " + counted(tally.tried, "port");
  if (candidates.inside_ephemeral)
    text += " inside the ephemeral range, which leaves no other port";
  text += ": " + std::to_string(tally.locked) + " locked by leases" + describe_holders(tally);
  text += ", " + std::to_string(tally.taken) + " taken by other sockets";
  if (tally.not_permitted != 0)
    text += ", " + std::to_string(tally.not_permitted) + " not permitted";
  if (const std::size_t reserved = candidates.reserved(); reserved != 0)
    text += "; " + std::to_string(reserved) + " left out as " + reserved_ports_setting;
  if (shape == lease_shape::contiguous && count > 1)
    text += "; " + std::to_string(count) + " free ports in a row were asked for";
  return text + "; end the processes that hold them, or narrow " + port_range_setting;
}

/// What the user should know of the ports that were found, once per program.
inline void note_limits(messages& told, const port_candidates& candidates) {
  if (told.first_time("loopback looked at") && loopback_is_down()) {
    told.note(
        "loopback",
        "the loopback interface is down in this network namespace, so no client on this machine "
        "can connect to a leased port: bring it up (ip link set lo up)");
  }
  if (candidates.inside_ephemeral) {
    told.note("inside_ephemeral", std::string{port_range_setting} +
                                      " leaves no port outside it, so leased ports lie inside: " +
                                      inside_ephemeral_means);
  }
  if (candidates.rules.autobind_reuse) {
    told.note(
        "autobind_reuse",
        "net.ipv4.ip_autobind_reuse=1: a bind(0) with SO_REUSEADDR may be given a port of the "
        "ephemeral range that another socket has bound");
  }
}

/// Finds `count` leases or throws `lease_error`.
inline std::vector<raw_lease> search_leases(shared_state& shared, std::size_t count,
                                            lease_shape shape, protocol_set kind,
                                            const source_location& where) {
  if (count == 0 || count > 65535) {
    throw lease_error{errc::port_out_of_range, "leasing " + std::to_string(count) + " ports",
                      "ask for 1 to 65535"};
  }
  const std::lock_guard one_at_a_time{shared.searching};
  lease_cursor& cursor = shared.cursor;
  shared.leases.reclaim(2);  // a few each time, so that they do not pile up where nobody looks
  raw_lease next;
  next.note.kind = kind;
  next.note.where = where;
  next.note.thread = this_thread();
  kept_fd& lock = next.locks[kind == protocol_set::udp ? 1 : 0];
  lease_tally tally;
  for (const bool again : {false, true}) {
    if (const auto error = open_lock(lock)) give_up_locking(error);
    next.note.net_cookie = net_cookie(lock);
    cursor.refresh(next.note.net_cookie, again);
    next.note.net_namespace = cursor.net_namespace;
    next.pid = cursor.pid;
    tally = {};
    auto found = take_turn(cursor, count, shape, next, tally);
    if (found.size() == count) {
      note_limits(shared.told, cursor.candidates);
      return found;
    }
    // Before giving up: the rules may have changed, and a port that was left dirty may be clean
    // now.
    shared.leases.reclaim(std::string::npos);
  }
  throw lease_error{errc::no_free_port, "leasing " + counted(count, "port"),
                    explain(tally, cursor.candidates, count, shape)};
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
