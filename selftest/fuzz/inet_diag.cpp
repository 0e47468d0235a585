// SPDX-License-Identifier: BSL-1.0
#include <tidewait/detail/linux/inet_diag.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  using step = tidewait::detail::dump_progress::step;
  for (const auto which : {tidewait::protocol::tcp, tidewait::protocol::udp}) {
    std::size_t sockets = 0;
    const auto progress =
        tidewait::detail::parse_dump(input, 1, which, [&](tidewait::socket_entry&& entry) {
          ++sockets;
          FUZZ_EXPECT(to_string(entry.state) != "UNKNOWN");
          FUZZ_EXPECT(tidewait::state_set::all().contains(entry.state));
          FUZZ_EXPECT(!to_string(entry.local).empty());
        });
    FUZZ_EXPECT(sockets <= input.size() / sizeof(inet_diag_msg));
    FUZZ_EXPECT((progress.next == step::refused) == (progress.error > 0));
    FUZZ_EXPECT(progress.error >= 0 && progress.error < 4096);
  }
}
