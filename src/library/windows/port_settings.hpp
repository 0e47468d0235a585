// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tidewait/bind.hpp>

#include "netsh_text.hpp"

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What the netsh.exe of a directory prints, which is asked `int <question>`; nothing if it fails,
/// prints too much, or takes longer than `most`. What it has started ends with it.
std::optional<std::string> ask_netsh(const std::string& directory,
                                     const std::vector<std::string>& question,
                                     std::chrono::milliseconds most);

/// The documented default of the dynamic range.
inline constexpr port_range default_dynamic_range{49152, 65535};

/// The dynamic range, by a port that the system has just chosen from it (0: it gave none). Only a
/// port outside the default shows that the range was changed: then `ask` tells it, if it can.
template <typename Ask>
port_range range_of_choice(std::uint16_t chosen, Ask ask) {
  if (chosen == 0 || default_dynamic_range.contains(chosen)) return default_dynamic_range;
  const std::optional<port_range> told = ask();
  return told.value_or(default_dynamic_range);
}

// The answers of the system's own netsh, which no API gives. Each is asked for once in a process:
// that starts a program.

/// The ports for outgoing connections and bind(0) over IPv4; nothing if netsh does not tell.
std::optional<port_range> dynamic_range(protocol which);

/// The ranges that Hyper-V, WinNAT or an administrator keeps back; nothing if netsh does not tell.
const std::optional<std::vector<excluded_range>>& excluded_ranges(protocol which, bool v6);

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
