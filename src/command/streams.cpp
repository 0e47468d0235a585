// SPDX-License-Identifier: BSL-1.0
#include "streams.hpp"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <tidewait/detail/linux/safe_file.hpp>

#include "unblocked_output.hpp"

namespace tidewait::command {
namespace {

room_waiter& waiter() {
  static room_waiter one;
  return one;
}

}  // namespace

void wait_for_room_by(room_waiter who) { waiter() = std::move(who); }

std::error_code write_to_stream(int stream, std::string_view text) {
  if (!waiter()) return detail::write_all(stream, text);
  const unblocked_output out{stream};
  while (!text.empty()) {
    const ssize_t written = out.write(text);
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN) return detail::last_error();
    if (!waiter()(out)) return std::make_error_code(std::errc::timed_out);
  }
  return {};
}

std::error_code write_quietly(int stream, std::string_view text) {
  sigset_t pending;
  sigset_t former;
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::sigpending(&pending);
  ::sigprocmask(SIG_BLOCK, &pipe, &former);
  const auto error = write_to_stream(stream, text);
  const timespec now{};
  if (error == std::errc::broken_pipe && ::sigismember(&pending, SIGPIPE) == 0)
    ::sigtimedwait(&pipe, nullptr, &now);
  ::sigprocmask(SIG_SETMASK, &former, nullptr);
  return error;
}

bool is_terminal(int stream) { return ::isatty(stream) == 1; }

/// A standard stream that is closed is no place for a socket that we open: what we print would go
/// there, without an error. The command gets it closed, as it was.
void prepare_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg)
    if (::fcntl(stream, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

std::vector<std::string> utf8_arguments(int argc, const char* const* argv) {
  return {argv, argv + argc};
}

}  // namespace tidewait::command
