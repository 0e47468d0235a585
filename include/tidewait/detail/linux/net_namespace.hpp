// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <sys/types.h>

#include <tidewait/detail/linux/environment.hpp>
#include <tidewait/detail/linux/run_marker.hpp>
#include <tidewait/detail/linux/system.hpp>

namespace tidewait {
inline namespace v0 {
namespace detail {

/// The network namespace of the calling thread, by its inode (namespaces(7)); 0: not known.
inline std::uint64_t current_net_namespace() noexcept {
  struct stat info {};
  return ::stat(proc_path("thread-self/ns/net").c_str(), &info) == 0 ? info.st_ino : 0;
}

/// The network namespace that a socket was made in, as a number that is never used again
/// (SO_NETNS_COOKIE, Linux 5.14): twenty times cheaper than the inode. On older kernels the inode
/// of the calling thread's namespace, which is the same question for a socket that it just made.
template <typename Descriptor>
std::uint64_t net_cookie([[maybe_unused]] const Descriptor& socket) noexcept {
#ifdef SO_NETNS_COOKIE
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0) return cookie;
#endif
  return current_net_namespace();
}

/// The same of the calling thread's namespace; 0: not known.
inline std::uint64_t current_net_cookie() noexcept {
  const unique_fd any{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  return any ? net_cookie(any) : 0;
}

/// Set by whoever made a network namespace for one test: its inode. A process that sees its own
/// namespace there knows that everything in it is the test's.
inline constexpr const char* private_namespace_variable = "TIDEWAIT_PRIVATE_NAMESPACE";

inline bool in_private_net_namespace() noexcept {
  const char* const value = environment(private_namespace_variable);
  if (value == nullptr) return false;
  const std::uint64_t own = current_net_namespace();
  return own != 0 && std::string_view{value} == std::to_string(own);
}

}  // namespace detail
}  // namespace v0
}  // namespace tidewait
