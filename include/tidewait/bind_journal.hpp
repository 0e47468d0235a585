// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/detail/compiled.hpp>
#include <tidewait/journal.hpp>

namespace tidewait {
inline namespace v0 {

/// What the journal says of one bind(2) or listen(2) that a witness has recorded: of TCP and UDP
/// over IPv4 and IPv6. Calls that agree in all but the time share one line.
struct bind_entry {
  std::string test{};        ///< As its watch calls it, or its launcher.
  std::string ctest_name{};  ///< TIDEWAIT_TEST of the process that made the call; may be empty.
  tidewait::protocol protocol = protocol::tcp;  ///< TCP or UDP.
  std::optional<endpoint> asked{};  ///< Port 0: the kernel was to choose. Nothing: listen(2) alone.
  std::optional<endpoint> got{};    ///< Nothing: it failed, or the port is not known.
  bool kernel_chose_port = false;   ///< Nobody asks for that number again.
  bool reuse_address = false;       ///< SO_REUSEADDR
  bool reuse_port = false;          ///< SO_REUSEPORT
  tidewait::ipv6_only ipv6_only = ipv6_only::no;  ///< IPV6_V6ONLY of the socket.
  bool listening = false;        ///< listen(2) was called, and has not failed as far as is known.
  int error = 0;                 ///< errno of the call; 0: it succeeded.
  bool inferred = false;         ///< How it ended is known from a probe, not from the call itself.
  std::string held_by{};         ///< Of one that failed: who had the port then; may be empty.
  std::uint64_t cookie = 0;      ///< SO_COOKIE of the socket; 0: not known.
  std::uint64_t net_cookie = 0;  ///< Its network namespace (SO_NETNS_COOKIE); 0: not known.
  int pid = 0;                   ///< The process that made the call.
  std::string run{};             ///< The mark of the run (TIDEWAIT_RUN).
  std::string command{};         ///< The name of that process; may be empty.
  std::string place{};           ///< Where in its code, "file:line"; empty: not named yet.
  std::string stack{};       ///< The calls that led there, innermost first; see docs/journal.md.
  std::uint64_t time = 0;    ///< Milliseconds since 1970, of the first call.
  std::uint64_t count = 1;   ///< How many calls this line is about.
  std::string host{};        ///< As of a `journal_entry`; `append_journal` fills in these three.
  std::string boot{};        ///< Boot id of the machine (random(4)).
  std::uint64_t uptime = 0;  ///< Microseconds since the machine was started (CLOCK_BOOTTIME).
};

/// One entry as a line of the journal, with its end: event `bound`, or `bind_failed` where `error`
/// says so.
std::string to_json_line(const bind_entry& entry);

/// Reads one such line; nothing if it is torn, of another version of the format, or of another
/// event. Fields that are not known are passed over.
std::optional<bind_entry> parse_bind_line(std::string_view text);

/// Appends to the journal of this run, if there is one, as `append_journal` does for sockets.
std::error_code append_journal(std::vector<bind_entry> entries);

/// The recorded binds in the journal of this run, oldest first: see `read_journal`.
std::vector<bind_entry> read_bind_journal();

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/bind_journal.hpp>
#endif
