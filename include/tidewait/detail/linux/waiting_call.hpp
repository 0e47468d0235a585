// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tidewait/detail/linux/proc_net.hpp>
#include <tidewait/detail/linux/proc_pid.hpp>
#include <tidewait/detail/number.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// How a system call names the sockets for which it waits.
enum class call_shape : std::uint8_t {
  accept,   ///< One listener, by its descriptor.
  receive,  ///< One socket that does not listen, likewise.
  poll,     ///< An array of `pollfd`.
  select,   ///< Up to three sets of descriptors.
};

/// A system call in which a thread sits, and its arguments.
struct waiting_call {
  const char* name;
  call_shape shape;
  std::array<std::uint64_t, 4> arguments{};
};

/// Reads the text of /proc/PID/task/TID/syscall ("43 0x3 0x0 …": number and arguments, proc(5));
/// nothing if the thread runs, or waits for no socket.
inline std::optional<waiting_call> parse_waiting_call(std::string_view text) noexcept {
  struct known_call {
    long number;
    const char* name;
    call_shape shape;
  };
  static constexpr known_call calls[] = {
      {SYS_accept4, "accept()", call_shape::accept},
#ifdef SYS_accept
      {SYS_accept, "accept()", call_shape::accept},
#endif
      {SYS_recvfrom, "recv()", call_shape::receive},
      {SYS_recvmsg, "recvmsg()", call_shape::receive},
      {SYS_recvmmsg, "recvmmsg()", call_shape::receive},
      {SYS_read, "read()", call_shape::receive},
      {SYS_readv, "readv()", call_shape::receive},
      {SYS_sendto, "send()", call_shape::receive},
      {SYS_sendmsg, "sendmsg()", call_shape::receive},
      {SYS_write, "write()", call_shape::receive},
      {SYS_ppoll, "poll()", call_shape::poll},
#ifdef SYS_poll
      {SYS_poll, "poll()", call_shape::poll},
#endif
      {SYS_pselect6, "select()", call_shape::select},
#ifdef SYS_select
      {SYS_select, "select()", call_shape::select},
#endif
  };
  std::string_view number_word = take_word(text);
  const auto number = take_number(number_word, 100000);
  if (!number || !number_word.empty()) return std::nullopt;
  const auto* const known = std::find_if(
      std::begin(calls), std::end(calls),
      [&](const known_call& each) { return each.number == static_cast<long>(*number); });
  if (known == std::end(calls)) return std::nullopt;
  waiting_call call{known->name, known->shape, {}};
  for (std::uint64_t& argument : call.arguments) {
    std::string_view word = take_word(text);
    if (word.substr(0, 2) != "0x") return std::nullopt;
    word.remove_prefix(2);
    const auto end = std::from_chars(word.data(), word.data() + word.size(), argument, 16);
    if (end.ec != std::errc{} || end.ptr != word.data() + word.size()) return std::nullopt;
  }
  return call;
}

/// The descriptors for which the call waits. Those of poll(2) and select(2) are in the memory of
/// the process (`memory`: its /proc/PID/mem); none where that cannot be read.
inline std::vector<int> waited_descriptors(const waiting_call& call, int memory) {
  const auto& [first, second, third, fourth] = call.arguments;
  std::vector<int> fds;
  const auto read = [memory](std::uint64_t address, void* to, std::size_t size) {
    return ::pread64(memory, to, size, static_cast<off64_t>(address)) == static_cast<ssize_t>(size);
  };
  constexpr std::uint64_t most = 4096;
  switch (call.shape) {
    case call_shape::accept:
    case call_shape::receive: fds.push_back(static_cast<int>(first)); break;
    case call_shape::poll: {
      std::vector<pollfd> all(std::min(second, most));
      if (all.empty() || !read(first, all.data(), all.size() * sizeof(pollfd))) break;
      for (const pollfd& each : all) fds.push_back(each.fd);
      break;
    }
    case call_shape::select:
      for (const std::uint64_t set : {second, third, fourth}) {
        constexpr std::uint64_t bits = 8 * sizeof(unsigned long);
        const std::uint64_t count = std::min(first, most);
        std::vector<unsigned long> words((count + bits - 1) / bits);
        if (set == 0 || !read(set, words.data(), words.size() * sizeof(unsigned long))) continue;
        for (std::uint64_t fd = 0; fd < count; ++fd) {
          if ((words[fd / bits] >> (fd % bits) & 1U) != 0) fds.push_back(static_cast<int>(fd));
        }
      }
  }
  fds.erase(std::remove_if(fds.begin(), fds.end(), [](int fd) { return fd < 0; }), fds.end());
  std::sort(fds.begin(), fds.end());
  fds.erase(std::unique(fds.begin(), fds.end()), fds.end());
  return fds;
}

/// The calling thread by its name in /proc/self/task; empty if that is not known.
inline std::string this_thread_in_proc() {
  char link[64];
  const ssize_t length =
      sys.readlinkat(AT_FDCWD, proc_path("thread-self").c_str(), link, sizeof link);
  const std::string_view text{link, length > 0 ? static_cast<std::size_t>(length) : 0};
  return std::string{text.substr(text.rfind('/') + 1)};
}

/// Whether a thread of this process sits in a system call that waits for this descriptor.
inline bool any_thread_waits_for(int fd) {
  bool waits = false;
  std::string text;
  const unique_fd memory{sys.openat(AT_FDCWD, proc_path("self/mem").c_str(), O_RDONLY | O_CLOEXEC)};
  const std::string looking = this_thread_in_proc();
  for_each_name(AT_FDCWD, proc_path("self/task").c_str(), [&](int tasks, const char* task) {
    if (looking == task) return true;
    if (read_file(tasks, (std::string{task} + "/syscall").c_str(), text)) return true;
    const auto call = parse_waiting_call(text);
    const auto fds = call ? waited_descriptors(*call, memory.get()) : std::vector<int>{};
    waits = std::binary_search(fds.begin(), fds.end(), fd);
    return !waits;
  });
  return waits;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
