// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind_probe.hpp>
#include <tidewait/detail/linux/net_namespace.hpp>
#include <tidewait/detail/linux/port_lock.hpp>
#include <tidewait/detail/text.hpp>
#include <tidewait/error.hpp>
#include <tidewait/lease_note.hpp>
#include <tidewait/registry.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// A lease as found: what `port_lease` owns.
struct raw_lease {
  lease_note note;
  std::vector<unique_fd> locks;
  unique_fd hold;
  int pid = 0;  ///< The process whose lease it is; a fork has only a copy.
};

enum class lease_shape : std::uint8_t { scattered, contiguous };

/// Why candidates were passed over.
struct lease_tally {
  std::size_t tried = 0;
  std::size_t locked = 0;
  std::size_t taken = 0;
  std::size_t not_permitted = 0;
  std::vector<std::pair<int, std::size_t>> holders;  ///< Pid of a lock's holder, how many of them.
};

inline std::error_code hold_port(std::uint16_t port, unique_fd& hold) {
  std::error_code error;
  hold = bind_whole_port(protocol::tcp, port, reuse::address_and_port, error);
  return error;
}

/// What one candidate gave: a lease, or why not. Errors that every further candidate would give,
/// too, are thrown.
inline bool try_lease(std::uint16_t port, bool hold, raw_lease& lease, lease_tally& tally) {
  ++tally.tried;
  lease.note.port = port;
  lease.locks.clear();
  const auto fail = [port](const std::error_code& error, const char* doing, const char* cause) {
    throw lease_error{error, std::string{doing} + " port " + std::to_string(port), cause};
  };
  const auto is_resource = [](const std::error_code& error) {
    return error == std::errc::too_many_files_open ||
           error == std::errc::too_many_files_open_in_system ||
           error == std::errc::no_buffer_space || error == std::errc::not_enough_memory;
  };
  constexpr const char* resource_cause =
      "this process or machine is out of descriptors or memory: look for a descriptor leak, raise "
      "ulimit -n";
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (!includes(lease.note.kind, which)) continue;
    unique_fd lock;
    if (const auto error = lock_port(which, port, lock)) {
      if (error == std::errc::address_in_use) {
        ++tally.locked;
        return false;
      }
      fail(error, "locking",
           is_resource(error)
               ? resource_cause
               : "the lock is an abstract Unix socket; the sandbox must allow AF_UNIX");
    }
    lease.locks.push_back(std::move(lock));
  }
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    if (!includes(lease.note.kind, which)) continue;
    const auto error = hold ? hold_port(port, lease.hold) : probe_port(which, port);
    if (!error) continue;
    if (error == std::errc::address_in_use) {
      ++tally.taken;
    } else if (error == std::errc::permission_denied) {
      ++tally.not_permitted;
    } else {
      fail(error, "probing",
           is_resource(error) ? resource_cause : "sockets of this kind are not permitted here");
    }
    return false;
  }
  return true;
}

/// "tried 100 ports of 1024–1123: 60 locked by other leases (pid 12: 40, pid 13: 20), …".
inline std::string explain(const lease_tally& tally, const port_candidates& candidates,
                           std::size_t count, lease_shape shape) {
  std::string text = "tried " + counted(tally.tried, "port");
  if (candidates.inside_ephemeral)
    text += " inside the ephemeral range, which leaves no other port";
  text += ": " + std::to_string(tally.locked) + " locked by leases";
  if (!tally.holders.empty()) {
    std::vector<std::string> pids;
    for (const auto& [pid, locks] : tally.holders) {
      pids.push_back((pid == 0 ? std::string{"unseen process"} : "pid " + std::to_string(pid)) +
                     ": " + std::to_string(locks));
    }
    text += " (" + joined(pids, ", ") + ')';
  }
  text += ", " + std::to_string(tally.taken) + " taken by other sockets";
  if (tally.not_permitted != 0)
    text += ", " + std::to_string(tally.not_permitted) + " not permitted";
  text += "; " + std::to_string(candidates.reserved) + " left out as ip_local_reserved_ports";
  if (shape == lease_shape::contiguous && count > 1) {
    text += "; " + std::to_string(count) + " free ports in a row were asked for";
  }
  return text + "; end the processes that hold them, or narrow net.ipv4.ip_local_port_range";
}

/// Asks who holds the locks, for the message only. The holders with the most come first.
inline void name_holders(const port_candidates& candidates, transport kind, lease_tally& tally) {
  constexpr std::size_t most_asked = 2000;
  constexpr std::size_t most_named = 5;
  std::size_t asked = 0;
  for (const auto& tier : candidates.tiers) {
    for (const std::uint16_t port : tier) {
      const protocol which = includes(kind, protocol::tcp) ? protocol::tcp : protocol::udp;
      if (++asked > most_asked) break;
      const auto holder = lock_holder(which, port);
      if (!holder) continue;
      auto known = std::find_if(tally.holders.begin(), tally.holders.end(),
                                [&](const auto& each) { return each.first == *holder; });
      if (known == tally.holders.end()) known = tally.holders.insert(known, {*holder, 0});
      ++known->second;
    }
  }
  std::sort(tally.holders.begin(), tally.holders.end(),
            [](const auto& a, const auto& b) { return a.second > b.second; });
  if (tally.holders.size() > most_named) tally.holders.resize(most_named);
}

/// One pass over all candidates, from the cursor on.
inline std::vector<raw_lease> pass_candidates(lease_cursor& cursor, std::size_t count,
                                              lease_shape shape, const lease_note& wanted,
                                              lease_tally& tally) {
  std::vector<raw_lease> found;
  const bool hold = cursor.candidates.inside_ephemeral && wanted.kind == transport::tcp;
  for (std::size_t t = 0; t < cursor.candidates.tiers.size(); ++t) {
    const auto& tier = cursor.candidates.tiers[t];
    const std::size_t start = cursor.next[t];
    for (std::size_t i = 0; i < tier.size() && found.size() < count; ++i) {
      const std::size_t at = (start + i) % tier.size();
      cursor.next[t] = (at + 1) % tier.size();
      const bool in_a_row = found.empty() || tier[at] == found.back().note.port + 1;
      if (shape == lease_shape::contiguous && !in_a_row) found.clear();
      raw_lease lease;
      lease.note = wanted;
      lease.pid = cursor.pid;
      if (try_lease(tier[at], hold, lease, tally)) {
        found.push_back(std::move(lease));
      } else if (shape == lease_shape::contiguous) {
        found.clear();
      }
    }
    if (shape == lease_shape::contiguous && found.size() < count) found.clear();
  }
  return found;
}

/// What the user should know of the ports that were found, once per program.
inline void note_limits(const lease_cursor& cursor) {
  registry& shared = registry::instance();
  if (cursor.candidates.inside_ephemeral) {
    shared.note(
        "inside_ephemeral",
        "leased ports lie inside the ephemeral range, since net.ipv4.ip_local_port_range covers "
        "everything; they are held, so that only a server with SO_REUSEADDR or SO_REUSEPORT can "
        "bind them");
  }
  if (cursor.autobind_reuse) {
    shared.note("autobind_reuse",
                "net.ipv4.ip_autobind_reuse=1: bind(0) may share a port that is in use");
  }
}

/// Finds `count` leases or throws `lease_error`.
inline std::vector<raw_lease> search_leases(std::size_t count, lease_shape shape, transport kind,
                                            const source_location& where) {
  if (count == 0 || count > 65535) {
    throw lease_error{errc::port_out_of_range, "leasing " + std::to_string(count) + " ports",
                      "ask for 1 to 65535"};
  }
  lease_note wanted;
  wanted.kind = kind;
  wanted.where = where;
  wanted.net_namespace = current_net_namespace();
  wanted.thread = this_thread();
  registry& shared = registry::instance();
  return shared.search([&](lease_cursor& cursor) {
    lease_tally tally;
    for (const bool again : {false, true}) {
      cursor.refresh(wanted.net_namespace, again);
      tally = {};
      auto found = pass_candidates(cursor, count, shape, wanted, tally);
      if (found.size() == count) {
        note_limits(cursor);
        return found;
      }
      // Before giving up: the rules may have changed, and a port that was left dirty may be clean
      // now.
      shared.reclaim();
    }
    name_holders(cursor.candidates, kind, tally);
    throw lease_error{errc::no_free_port, "leasing " + counted(count, "port"),
                      explain(tally, cursor.candidates, count, shape)};
  });
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
