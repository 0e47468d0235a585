// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tidewait/bound_socket.hpp>
#include <tidewait/detail/compiled.hpp>

namespace tidewait {
inline namespace v0 {

#ifndef TIDEWAIT_NO_LISTEN_FDS
/// Hands sockets to a child program by the convention of sd_listen_fds(3), which many servers know:
/// they are its descriptors 3, 4, …, and LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID in its
/// environment say so.
///
///     listen_fds sockets;
///     sockets.add(socket, "http");
///     if (const pid_t child = fork(); child == 0) {
///       execve(program, arguments, sockets.enter_child());
///       _exit(127);
///     }
///
/// LISTEN_PID has to be the pid of the process that reads it, and servers compare. Nobody but the
/// child itself knows it in time, hence a function that runs between fork() and exec. Where the
/// child is spawned by something that offers no such place (posix_spawn(3), most libraries), pass
/// the sockets and `environment()` by its means, and let a shell add the pid, which exec keeps:
///
///     /bin/sh -c 'LISTEN_PID=$$ exec "$@"' sh program arguments…
///
/// The sockets stay the caller's: close them once the child runs, or the port stays open with it.
class listen_fds {
 public:
  listen_fds() = default;
  listen_fds(const listen_fds&) = delete;
  listen_fds& operator=(const listen_fds&) = delete;

  /// The next socket. `name` is for LISTEN_FDNAMES: no ':' and no control characters.
  void add(const bound_socket& socket, std::string_view name = "unknown") {
    descriptors_.push_back(socket.native_handle());
    if (!names_.empty()) names_ += ':';
    names_ += name;
    rebuild();
  }

  /// "LISTEN_FDS=2" and "LISTEN_FDNAMES=http:admin". LISTEN_PID is missing: see above.
  std::vector<std::string> environment() const {
    return {"LISTEN_FDS=" + std::to_string(descriptors_.size()), "LISTEN_FDNAMES=" + names_};
  }

  /// In the child, between fork() and exec: puts the sockets where they belong, over whatever is on
  /// the descriptors 3, 4, … there, and returns the environment for execve(2): the one of when the
  /// last socket was added, and the variables of the convention. Null and `errno` on failure.
  /// Async-signal-safe.
  char* const* enter_child() noexcept;

 private:
  void rebuild();

  std::vector<int> descriptors_;
  std::string names_;
  std::vector<std::string> entries_;
  std::vector<char*> block_;  // into entries_
  char* pid_ = nullptr;       // likewise
};
#endif

}  // namespace v0
}  // namespace tidewait

#ifndef TIDEWAIT_COMPILED
#include <tidewait/detail/impl/listen_fds.hpp>
#endif
