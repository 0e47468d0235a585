// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <string>

#include <tidewait/diagnosis.hpp>
#include <tidewait/explain_bind.hpp>
#include <tidewait/socket_table.hpp>
#include <tidewait/visibility.hpp>

#include "command.hpp"

namespace tidewait::command {

/// What a command line asks about: a port on any address, or on this one.
struct place {
  endpoint local;
  bool any_address = false;
};

/// Reads "[ADDR:]PORT". Throws `usage_error`.
place read_place(const std::string& text);

/// "127.0.0.1:8080", or "port 8080" on any address.
std::string to_text(const place& where);

/// Reads "250ms", "10s" or a number of milliseconds, an hour at most. Throws `usage_error`.
std::chrono::milliseconds read_time(const std::string& text);

/// The sockets in the way of a bind to that place, with all their holders; `seen.blind()` if the
/// table could not be read.
socket_table sockets_at(protocol which, const place& where);

/// Why a bind to that place fails, or that it would succeed.
bind_explanation explain(protocol which, const place& where);
/// The same once it would succeed, or at the end of the time.
bind_explanation wait_until_free(protocol which, const place& where,
                                 std::chrono::milliseconds time);

/// A report in colour, if that is wanted: the first line is green if all is `good`, otherwise red.
output painted(const std::string& report, bool good, const painter& paint);

/// A diagnosis for people, in colour if that is wanted.
output to_text(const diagnosis& why, const visibility& seen, const painter& paint);

}  // namespace tidewait::command
