// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <tidewait/bind.hpp>
#include <tidewait/socket_table.hpp>

#include "json.hpp"

namespace tidewait::command {

/// Who uses the ports from which the kernel chooses for port 0 and for outgoing connections.
struct ephemeral_use {
  tidewait::protocol protocol = protocol::tcp;
  port_range range;
  std::size_t used = 0;  ///< Different numbers that some socket has.
  /// "pid 99 (client)", "TIME_WAIT", and how many of the numbers; the greatest first.
  std::vector<std::pair<std::string, std::size_t>> by_holder;
  std::vector<std::pair<std::string, std::size_t>> by_peer;  ///< "127.0.0.1:8080", likewise.
  bind_outcome outcome;                                      ///< Of a bind to port 0.
  visibility seen;
};

ephemeral_use count_use(tidewait::protocol which, const port_range& range,
                        const std::vector<observed_socket>& sockets);

/// Looks at all sockets of the protocol and asks the kernel for a bind to port 0.
ephemeral_use look_at_ephemeral_ports(tidewait::protocol which);

std::string render(const ephemeral_use& use);
json to_json(const ephemeral_use& use);

}  // namespace tidewait::command
