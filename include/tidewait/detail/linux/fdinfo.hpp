// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/number.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// What /proc/PID/fdinfo shows of an io_uring: the sockets that are registered with it, by inode,
/// and how many requests wait for a connection, for data, or for readiness of any kind.
struct ring_contents {
  std::vector<std::uint32_t> registered{};
  std::size_t accepts = 0;
  std::size_t receives = 0;
  std::size_t polls = 0;
};

/// Reads "    1: socket:[4711]" and "  op=13, task_works=0" (io_uring_show_fdinfo,
/// io_uring/fdinfo.c).
inline ring_contents parse_ring(std::string_view text) {
  ring_contents ring;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view word = take_word(line);
    if (!word.empty() && word.back() == ':') {
      const auto inode = parse_socket_link(take_word(line));
      if (inode) ring.registered.push_back(*inode);
    } else if (word == "op=13,") {  // IORING_OP_ACCEPT
      ++ring.accepts;
    } else if (word == "op=6,") {  // IORING_OP_POLL_ADD
      ++ring.polls;
    } else if (word == "op=10," || word == "op=27,") {  // IORING_OP_RECVMSG, IORING_OP_RECV
      ++ring.receives;
    }
  }
  return ring;
}

/// How many files wait in a Unix socket to be received: "scm_fds: 1" (unix_show_fdinfo,
/// net/unix/af_unix.c, since Linux 5.9).
inline std::size_t parse_files_in_flight(std::string_view text) noexcept {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (take_word(line) != "scm_fds:") continue;
    std::string_view number = take_word(line);
    return take_number(number, 0xffff).value_or(0);
  }
  return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
