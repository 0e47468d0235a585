// SPDX-License-Identifier: BSL-1.0
#include "unblocked_output.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace tidewait::command {

unblocked_output::unblocked_output(int stream) : stream_{stream} {
  struct stat info {};
  if (::fstat(stream, &info) != 0) return;
  if (S_ISSOCK(info.st_mode)) kind_ = kind::socket;
  if (S_ISREG(info.st_mode)) kind_ = kind::file;
  if (!S_ISFIFO(info.st_mode) && ::isatty(stream) != 1) return;
  const std::string path = detail::proc_path("self/fd/" + std::to_string(stream));
  constexpr int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  reopened_ = detail::unique_fd{::open(path.c_str(), flags)};
}

bool unblocked_output::has_room() const noexcept {
  pollfd ready{fd(), POLLOUT, 0};
  return ::poll(&ready, 1, 0) > 0;
}

ssize_t unblocked_output::write(std::string_view text) const noexcept {
  if (kind_ == kind::socket) return ::send(stream_, text.data(), text.size(), MSG_DONTWAIT);
  if (kind_ == kind::file || reopened_) return ::write(fd(), text.data(), text.size());
  // That much a pipe has room for if it has any (pipe(7)).
  if (!has_room()) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(stream_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

}  // namespace tidewait::command
