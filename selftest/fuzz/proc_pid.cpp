// SPDX-License-Identifier: BSL-1.0
#include <tidewait/detail/linux/keeper_search.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/linux/process_info.hpp>
#include <tidewait/detail/linux/run_marker.hpp>

#include "fuzz.hpp"

void fuzz(std::string_view input) {
  using namespace tidewait::detail;
  parse_socket_link(input);
  const process_status status = parse_process_status(input);
  FUZZ_EXPECT(!status.ended() || status.threads <= 1);
  FUZZ_EXPECT(status.pids.size() <= input.size());
  environment_has_mark(input, "0123456789abcdef");
  if (const auto stat = parse_process_stat(input)) {
    FUZZ_EXPECT(stat->pid >= 0 && stat->parent >= 0);
    FUZZ_EXPECT(stat->name.size() + 40 <= input.size());
    FUZZ_EXPECT(!stat->ended() || stat->threads <= 1);
  }
  FUZZ_EXPECT(parse_pid(input).value_or(0) >= 0);
  parse_waiting_call(input);
  FUZZ_EXPECT(parse_ring(input).registered.size() <= input.size());
  FUZZ_EXPECT(parse_files_in_flight(input) <= 0xffff);
  parse_tunnel(input);

  const std::string command = parse_command_line(input);
  FUZZ_EXPECT(command.size() <= 4096);
  for (std::string_view rest = command; !rest.empty();) {
    const std::size_t length = utf8_length(rest);
    FUZZ_EXPECT(length != 0 && length <= rest.size());
    FUZZ_EXPECT(is_printable(code_point(rest.substr(0, length))));
    rest.remove_prefix(length);
  }
  FUZZ_EXPECT(sanitised(command) == command);
  FUZZ_EXPECT(columns(clipped(command, 60)) <= 60);
}
