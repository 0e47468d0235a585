// SPDX-License-Identifier: BSL-1.0
#include <algorithm>
#include <vector>

#include <tidewait/detail/linux/port_range.hpp>
#include <tidewait/detail/linux/proc_net.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  for (const auto which : {tidewait::protocol::tcp, tidewait::protocol::udp}) {
    std::vector<tidewait::socket_entry> sockets;
    std::size_t unread = 0;
    tidewait::detail::parse_proc_net(input, which, sockets, unread,
                                     [](const tidewait::socket_entry& entry) {
                                       return tidewait::state_set::all().contains(entry.state);
                                     });
    const auto lines = std::count(input.begin(), input.end(), '\n');
    FUZZ_EXPECT(sockets.size() + unread <= static_cast<std::size_t>(lines));
  }
  tidewait::detail::parse_sockstat(input, "tw");
  if (const auto range = tidewait::detail::parse_port_range(input)) {
    FUZZ_EXPECT(range->first <= range->last);
  }
  for (const auto& range : tidewait::detail::parse_reserved_ports(input)) {
    FUZZ_EXPECT(range.first <= range.last);
  }
}
