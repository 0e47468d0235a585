// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <tidewait/diagnosis.hpp>
#include <tidewait/process.hpp>
#include <tidewait/socket_entry.hpp>
#include <tidewait/unix_diagnosis.hpp>
#include <tidewait/unix_entry.hpp>
#include <tidewait/visibility.hpp>

#include "port_leases.hpp"

namespace tidewait::command {

/// Objects keep the order in which docs/command.md describes their members.
using json = nlohmann::ordered_json;

/// The text of a value; whatever is no UTF-8 in it becomes U+FFFD. To be printed through
/// `output::add_json`.
std::string to_text(const json& value, int indent = -1);

/// The values of the library as docs/command.md describes them, for every subcommand alike.
json to_json(const endpoint& value);
json to_json(const observed_socket& socket, const port_leases& leases);
json to_json(const visibility& seen);
json to_json(const diagnosis& why, const port_leases& leases);
json to_json(const observed_unix& socket);

/// "lease of tcp port 20111" for the lock of a lease, which is a Unix socket of tidewait's own.
std::string unix_note(const observed_unix& socket);

json to_json(const unix_diagnosis& why);

/// Appends text as a JSON string. Throws `json::exception` if it is not valid UTF-8.
void append_json(std::string& out, std::string_view text);

/// Appends what `to_json(socket, leases).dump()` gives, without a value in between.
void append_json(std::string& out, const observed_socket& socket, const port_leases& leases);

/// The holder of a port's lease: a process, `{}` if it cannot be seen, null if there is no lease.
json lease_to_json(const port_leases& leases, protocol which, std::uint16_t port);

/// The state as the command names it: UNCONN for a UDP socket without a peer.
std::string_view state_name(const observed_socket& socket);

/// The cookie as `ss -e` prints it.
std::string cookie_text(std::uint64_t cookie);

}  // namespace tidewait::command
