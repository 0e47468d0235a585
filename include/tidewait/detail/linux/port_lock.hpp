// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <tidewait/detail/linux/system.hpp>
#include <tidewait/detail/number.hpp>
#include <tidewait/endpoint.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The name of a port's lock, "\0tidewait/tcp/20111": an abstract Unix socket (unix(7)). It has the
/// port's own scope, the network namespace, and the kernel drops it with its last holder.
struct lock_name {
  sockaddr_un address{};
  socklen_t size = 0;

  lock_name(protocol which, std::uint16_t port) noexcept {
    char text[32] = "tidewait/";
    std::size_t length = std::strlen(text);
    for (const char c : to_string(which)) text[length++] = c;
    text[length++] = '/';
    for (unsigned unit = 10000; unit != 0; unit /= 10) {
      if (port >= unit || unit == 1) text[length++] = static_cast<char>('0' + port / unit % 10);
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, text, length);
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  }
  /// The bytes of `sun_path`.
  std::string_view bytes() const noexcept {
    return {address.sun_path, size - offsetof(sockaddr_un, sun_path)};
  }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&address); }
};

/// Whose lock this is, if it is a lock's: exactly its bytes, so that "08080" and "8080 " are not.
inline std::optional<std::pair<protocol, std::uint16_t>> parse_lock_name(std::string_view bytes) {
  for (const protocol which : {protocol::tcp, protocol::udp}) {
    const std::string_view any = lock_name{which, 0}.bytes();
    std::string_view digits = bytes.substr(std::min(bytes.size(), any.size() - 1));
    const auto port = take_number(digits, 65535);
    if (port && bytes == lock_name{which, static_cast<std::uint16_t>(*port)}.bytes())
      return std::pair{which, static_cast<std::uint16_t>(*port)};
  }
  return std::nullopt;
}

/// Makes the socket of a lock, if there is none yet.
template <typename Descriptor>
std::error_code open_lock(Descriptor& lock) {
  if (!lock) lock = Descriptor{unique_fd{sys.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)}};
  return lock ? std::error_code{} : last_error();
}

/// Takes the lock of a port. EADDRINUSE: somebody else has it; then `lock` keeps its socket, which
/// is as good for the next port. The lock listens, so that whoever finds it taken can ask the
/// kernel for the holder's pid.
template <typename Descriptor>
std::error_code lock_port(protocol which, std::uint16_t port, Descriptor& lock) {
  if (const auto error = open_lock(lock)) return error;
  const lock_name name{which, port};
  constexpr int most_askers = 4096;  // nobody accepts, so each stays in the queue
  if (sys.bind(lock.get(), name.get(), name.size) != 0 ||
      sys.listen(lock.get(), most_askers) != 0) {
    return last_error();
  }
  return {};
}

/// The pid that took the lock of a port (SO_PEERCRED), as this process's pid namespace shows it; 0
/// if it is not visible here, nothing if nobody has the lock. A process that has inherited the lock
/// does not show: the pid may be of one that has ended.
inline std::optional<int> lock_holder(protocol which, std::uint16_t port) {
  const unique_fd fd{sys.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const lock_name name{which, port};
  if (!fd) return std::nullopt;
  if (sys.connect(fd.get(), name.get(), name.size) != 0) {
    return errno == ECONNREFUSED ? std::nullopt : std::optional<int>{0};
  }
  ucred holder{};
  socklen_t size = sizeof holder;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &holder, &size) != 0) return 0;
  return holder.pid;
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
